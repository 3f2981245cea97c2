"""Triton: the server that the nvidia-pytriton package carries, with its Python backend.

    PYTHON triton_server.py HTTP_PORT GRPC_PORT

Writes a model folder and becomes the server. PEER_WAIT_US is the wait for a batch.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytriton

HERE = Path(__file__).parent
_HEAD = """
backend: "python"
max_batch_size: 32
dynamic_batching {{ max_queue_delay_microseconds: {wait} }}
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
"""
_TABULAR = """
input [ { name: "input" data_type: TYPE_FP32 dims: [4] } ]
output [ { name: "label" data_type: TYPE_INT64 dims: [1] },
         { name: "probabilities" data_type: TYPE_FP32 dims: [3] } ]
"""
_MINILM = """
input [ { name: "text" data_type: TYPE_STRING dims: [1] } ]
output [ { name: "embedding" data_type: TYPE_FP32 dims: [384] } ]
"""


def repository() -> Path:
    """Write the model folder."""
    folder = Path(tempfile.mkdtemp(prefix="triton-"))
    head = _HEAD.format(wait=os.environ.get("PEER_WAIT_US", "0"))
    for name, tensors in (("tabular", _TABULAR), ("minilm", _MINILM)):
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(head + tensors)
        shutil.copy(HERE / "triton_model.py", folder / name / "1" / "model.py")
    return folder


def main(http_port: str, grpc_port: str) -> None:
    """Become the server."""
    home = Path(pytriton.__file__).parent
    site = home.parent
    stub = home / "tritonserver/python_backend_stubs/3.11/triton_python_backend_stub"
    backend = home / "tritonserver/backends/python/triton_python_backend_stub"
    if not backend.exists():
        shutil.copy(stub, backend)
        backend.chmod(0o755)
    libraries = [site / "nvidia_pytriton.libs", home / "tritonserver/lib"]
    environ = os.environ | {
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "PEER_PATH": f"{HERE.parent}",
        "PYTHONPATH": str(site),
    }
    server = home / "tritonserver/bin/tritonserver"
    os.execve(server, [
        str(server), f"--model-repository={repository()}",
        f"--backend-directory={home}/tritonserver/backends",
        "--http-address=127.0.0.1", f"--http-port={http_port}", "--grpc-address=127.0.0.1",
        f"--grpc-port={grpc_port}", "--allow-metrics=false", "--log-info=false",
    ], environ)  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:3])
