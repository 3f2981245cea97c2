"""The command line of the model server: what is offered is documented, and a device reaches the engine."""

import subprocess
import sys
from pathlib import Path

import pytest

from prometheus_ai_runtime.cli import EXAMPLES, _config, _parser
from prometheus_ai_runtime.config import ConfigError
from prometheus_ai_runtime.errors import StartFailed
from prometheus_ai_runtime.serve import bind

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


def test_the_help_shows_examples_and_exit_codes() -> None:
    command = [sys.executable, "-m", "prometheus_ai_runtime"]
    for arguments in (["--help"], ["serve", "--help"]):
        told = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        assert "pai-runtime serve iris=iris.onnx digits=digits.skops" in told
    for code in ("64", "65", "69", "70", "73"):
        assert f"\n  {code}  " in told


def test_every_example_of_the_help_is_a_command_that_is_understood() -> None:
    examples = [line.split() for line in EXAMPLES.splitlines() if "pai-runtime serve" in line]
    assert len(examples) >= 4
    for example in examples:
        options = _parser().parse_args(example[1:])
        assert options.models or options.config


def test_the_version_is_told() -> None:
    command = [sys.executable, "-m", "prometheus_ai_runtime", "--version"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.startswith("pai-runtime ")


def test_two_models_of_one_name_are_named_with_what_to_do() -> None:
    options = _parser().parse_args(["serve", "iris=a.onnx", "iris=b.onnx"])
    with pytest.raises(ConfigError, match=r"two models are called `iris` .*iris:2=PATH"):
        _config(options)


def test_an_address_that_is_not_there_is_not_blamed_on_the_port() -> None:
    with pytest.raises(StartFailed, match="another --host"):
        bind("203.0.113.7", 0)
