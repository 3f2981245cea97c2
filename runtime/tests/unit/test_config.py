"""CONFIG.json: every field is read or refused by name."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from prometheus_ai_runtime.config import (
    Batching,
    ConfigError,
    Limits,
    ModelConfig,
    Timeouts,
    parse_config,
    read_config,
)

MINIMAL = {"name": "digits", "version": "v3", "path": "/m/model.onnx"}
WIRE = Path(__file__).parents[3] / "docs" / "architecture" / "02-wire.md"
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "model-server.md"


def test_the_example_of_the_wire_page_is_understood() -> None:
    text = WIRE.read_text()
    (example,) = re.findall(r"## CONFIG.json\n\n```json\n(.*?)```", text, re.DOTALL)
    config = parse_config(json.loads(example))
    (model,) = config.models
    assert (model.name, model.version, model.engine) == ("digits", "v3", "onnx")
    assert model.signature is not None
    assert model.signature.inputs[0].shape == (-1, 64)
    assert model.batching.queue_rows_max == 1024
    assert config.timeouts.drain_s == 30.0
    assert config.threads == 2


def test_only_name_version_and_path_are_required() -> None:
    assert parse_config(MINIMAL).models[0].label == "digits/v3"
    for field in MINIMAL:
        with pytest.raises(ConfigError, match=f"missing field `{field}`"):
            parse_config({k: v for k, v in MINIMAL.items() if k != field})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"colour": 1}, "unknown field `colour`"),
        ({"batching": {"rowsmax": 1}}, "unknown field `batching.rowsmax`"),
        ({"limits": {"colour": 1}}, "unknown field `limits.colour`"),
        ({"timeouts": {"drain_s": "a"}}, "`timeouts.drain_s` must be a number"),
        ({"timeouts": {"drain_s": -1}}, "`timeouts.drain_s` must be a number, not negative"),
        ({"batching": {"rows_max": 0}}, "`batching.rows_max` must be a positive whole number"),
        ({"batching": {"rows_max": True}}, "`batching.rows_max`"),
        ({"batching": 3}, "`batching` must be an object"),
        ({"batching": {"cost": "colour"}}, "`batching.cost`"),
        ({"batching": {"cost": "words"}}, "`batching.cost` bounds nothing without `cost_max`"),
        ({"batching": {"preferred_rows": 4}}, "`batching.preferred_rows` must be a list"),
        ({"batching": {"preferred_rows": [8, 4]}}, "`batching.preferred_rows` must ascend"),
        ({"batching": {"preferred_rows": [64]}}, "`batching.preferred_rows` has 64, more than"),
        ({"batching": {"pad": {"x": "0"}}}, "`batching.pad.x` must be a number"),
        ({"limits": {"non_finite": "some"}}, "`limits.non_finite` is 'some'; known: reject"),
        ({"engine": "magic"}, "`engine` is 'magic'"),
        ({"isolation": "vm"}, "`isolation`"),
        ({"name": "a/b"}, "`name` must be letters"),
        ({"version": ""}, "`version` must be letters"),
        ({"signature": {}}, "`signature.inputs`"),
        ({"signature": {"inputs": [{"name": "a"}]}}, "`signature.inputs[0]`"),
        ({"threads": 0}, "`threads`"),
        ({"allow_pickle": "yes"}, "`allow_pickle`"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        parse_config({**MINIMAL, **change})


def test_padding_may_be_a_negative_number() -> None:
    config = parse_config({**MINIMAL, "batching": {"pad": {"x": -100, "y": 0.5}}})
    assert config.models[0].batching.pad == {"x": -100.0, "y": 0.5}


def test_several_models_are_a_list() -> None:
    config = parse_config({"models": [MINIMAL, {**MINIMAL, "name": "other"}], "threads": 1})
    assert [m.name for m in config.models] == ["digits", "other"]
    with pytest.raises(ConfigError, match="beside `models`"):
        parse_config({"models": [], "name": "x"})
    with pytest.raises(ConfigError, match=re.escape("unknown field `models[0].colour`")):
        parse_config({"models": [{**MINIMAL, "colour": 1}]})


@pytest.mark.parametrize("value", [-1, 1001])
def test_looking_for_events_has_a_bound(value: float) -> None:
    with pytest.raises(ConfigError, match="busy_poll_us"):
        parse_config({**MINIMAL, "busy_poll_us": value})


def test_a_file_that_is_not_there_or_not_json_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        read_config(tmp_path / "broken.json")


@pytest.mark.parametrize("kind", [ModelConfig, Batching, Limits, Timeouts])
def test_every_field_is_in_the_reference(kind: Any) -> None:
    text = REFERENCE.read_text()
    absent = [f.name for f in dataclasses.fields(kind) if f"`{f.name}`" not in text]
    assert not absent
