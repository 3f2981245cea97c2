"""A mistake is told with its place and with what was most likely meant."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import prometheus_ai
from prometheus_ai.client import Client

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Pai


def spec(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.onnx").write_bytes(b"model one")
    (tmp_path / "pai.yaml").write_text(text)


@pytest.mark.parametrize(
    ("words", "meant"),
    [(("depoly",), "'deploy'"), (("statu",), "'status'"), (("target", "lst"), "'list'")],
)
def test_a_mistyped_command_is_guessed(pai: "Pai", words: tuple[str, ...], meant: str) -> None:
    result = pai(*words)
    assert result.exit_code == 2
    assert f"Did you mean {meant}?" in result.stderr


def test_an_unknown_engine_is_a_usage_error(pai: "Pai", tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"model one")
    result = pai("init", "model.onnx", "--engine", "tensorflow")
    assert result.exit_code == 2
    assert "no engine 'tensorflow'" in result.stderr
    assert "known engines: onnx" in result.stderr


def test_a_missing_model_is_told_at_its_line(pai: "Pai", tmp_path: Path) -> None:
    spec(tmp_path, "name: digits\nmodel:\n  path: gone.onnx\n")
    result = pai("deploy", "pai.yaml")
    assert result.exit_code == 4
    assert "pai.yaml:3: model.path: gone.onnx does not exist" in result.stderr


def test_a_missing_lock_is_told_at_its_line(pai: "Pai", tmp_path: Path) -> None:
    spec(tmp_path, "name: digits\nmodel: {path: model.onnx}\nenvironment:\n  lock: gone.lock\n")
    assert "pai.yaml:4: environment.lock: gone.lock does" in pai("deploy", "pai.yaml").stderr


def test_an_unknown_target_is_told_at_its_line_with_the_nearest(pai: "Pai", tmp_path: Path) -> None:
    spec(tmp_path, "name: digits\nmodel: {path: model.onnx}\ntarget: locl\n")
    result = pai("deploy", "pai.yaml")
    assert result.exit_code == 4
    assert "pai.yaml:3: target: there is no target 'locl'" in result.stderr
    assert "did you mean local?" in result.stderr
    assert "pai.yaml:3: target:" in pai("diff", "pai.yaml").stderr


def test_forgetting_a_target_is_asked_about(pai: "Pai") -> None:
    result = pai("target", "remove", "lab")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert pai("target", "remove", "lab", "--yes").exit_code == 4


def test_the_client_is_found_where_people_look_first() -> None:
    assert prometheus_ai.Client is Client
    with pytest.raises(AttributeError, match="no attribute 'Clint'"):
        prometheus_ai.Clint  # noqa: B018 - asking is what is tested


SIGNED = """name: digits
model:
  path: model.onnx
  engine: onnx
  signature:
    inputs: [{{name: image, datatype: {datatype}, shape: [-1, 2]}}]
    outputs: [{{name: label, datatype: INT64, shape: [-1]}}]
"""


def test_a_release_that_would_refuse_todays_clients_gets_no_traffic_unasked(
    pai: "Pai", tmp_path: Path
) -> None:
    spec(tmp_path, SIGNED.format(datatype="FP32"))
    assert pai("deploy", "pai.yaml", "--wait").exit_code == 0
    other = SIGNED.format(datatype="INT64")
    spec(tmp_path, other)
    said = "sent as FP32, and the new model takes INT64"
    refused = pai("deploy", "pai.yaml", "--weight", "10")
    assert refused.exit_code == 2
    assert f"pai.yaml:5: model.signature: v1 has traffic, and its input 'image' is {said}" in (
        refused.stderr
    )
    assert said in pai("diff", "pai.yaml").stderr
    assert pai("deploy", "pai.yaml", "--weight", "0").exit_code == 0
    spec(tmp_path, other + "route: {allow_other_inputs: true}\n")
    assert pai("deploy", "pai.yaml", "--weight", "10").exit_code == 0
