"""The command line of the model server: what is offered is documented, and a device reaches the engine."""

import subprocess
import sys
from pathlib import Path

import pytest

from prometheus_ai_runtime.cli import _config, _parser

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "model-server.md"


def test_every_option_is_in_the_reference() -> None:
    (serve,) = [
        choices["serve"]
        for action in _parser()._actions
        if isinstance(choices := getattr(action, "choices", None), dict)
    ]
    text = REFERENCE.read_text()
    offered = {name for action in serve._actions for name in action.option_strings}
    missing = [name for name in offered - {"-h", "--help"} if f"| `{name}` |" not in text]
    assert not missing


def test_a_device_is_for_the_models_on_the_command_line() -> None:
    options = _parser().parse_args(["serve", "iris=iris.onnx", "--device", "cuda:1"])
    assert [model.device for model in _config(options).models] == ["cuda:1"]


@pytest.mark.requires("onnxruntime")
@pytest.mark.parametrize(
    ("device", "said"), [("rocm", "use cpu, cuda or cuda:N"), ("cuda", "was asked for")]
)
def test_a_device_that_is_not_there_is_a_load_failure(
    iris_onnx: Path, device: str, said: str
) -> None:
    command = [sys.executable, "-m", "prometheus_ai_runtime", "serve", f"iris={iris_onnx}"]
    done = subprocess.run(
        [*command, "--port", "0", "--device", device],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 65
    assert said in done.stderr.splitlines()[-1]
