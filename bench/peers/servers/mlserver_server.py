"""Writes MLServer's settings and becomes the server.

PYTHON mlserver_server.py HTTP_PORT GRPC_PORT
"""

import json
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def main(http_port: str, grpc_port: str) -> None:
    """Become the server."""
    folder = Path(tempfile.mkdtemp(prefix="mlserver-"))
    settings = {
        "host": "127.0.0.1", "http_port": int(http_port), "grpc_port": int(grpc_port),
        "metrics_endpoint": None, "parallel_workers": 0, "debug": False,
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    for name, kind in (("tabular", "TabularModel"), ("minilm", "MiniLMModel")):
        (folder / name).mkdir()
        model = {
            "name": name, "implementation": f"mlserver_models.{kind}",
            "max_batch_size": 32, "max_batch_time": 0.002,
        }  # fmt: skip
        (folder / name / "model-settings.json").write_text(json.dumps(model))
    program = str(Path(sys.executable).with_name("mlserver"))
    environ = os.environ | {"PYTHONPATH": f"{HERE}:{HERE.parent}"}
    os.execve(program, [program, "start", str(folder)], environ)


if __name__ == "__main__":
    main(*sys.argv[1:3])
