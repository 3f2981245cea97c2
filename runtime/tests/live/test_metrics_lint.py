"""The metrics page as Prometheus' own checker reads it."""

import subprocess
from typing import Any

import pytest

pytestmark = pytest.mark.requires("prometheus")

MODEL = '''
class Model:
    """The number that it is given."""

    signature = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
    }

    def predict(self, batch):
        return {"y": batch["x"]}
'''


def test_promtool_finds_nothing_wrong(serve: Any, python_model: Any) -> None:
    server = serve(f"same={python_model(MODEL)}")
    assert server.ask("/same/predict", [1.0, 2.0]).status == 200
    page = server.ask("/metrics").body
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
