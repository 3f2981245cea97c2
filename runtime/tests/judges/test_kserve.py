"""The KServe client, unchanged, in its own environment (made by ``setup.sh`` beside this file)."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
JUDGE = HERE.parents[2] / "var" / "judges" / "kserve" / "bin" / "python"


@pytest.mark.requires("kserve")
def test_the_kserve_client_is_answered(serve: Any, iris_onnx: Path) -> None:
    running = serve(f"iris={iris_onnx}", "--grpc-port", "0")
    judged = subprocess.run(
        [str(JUDGE), str(HERE / "kserve_client.py"), running.url, f"127.0.0.1:{running.grpc_port}"],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert judged.returncode == 0, judged.stderr.decode()
    seen = json.loads(judged.stdout.splitlines()[-1])
    for told in (seen, seen["grpc"]):
        assert told["live"]
        assert told["ready"]
        assert told["model_ready"]
        for form in ("binary=False", "binary=True"):
            assert told[form]["id"] == "ask-1"
            assert told[form]["label"] == [0, 2]
            assert len(told[form]["probabilities"]) == 2
