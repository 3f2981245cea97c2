"""Writing specs: the annotated text, the schema and the list of changes."""

import json
from pathlib import PurePosixPath
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator, meta

from prometheus_ai.domain.spec import RESERVED_NAMES, Datatype, EngineName, Spec
from prometheus_ai.specs.diff import diff
from prometheus_ai.specs.read import read
from prometheus_ai.specs.render import render
from prometheus_ai.specs.schema import json_schema

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
NAMES = st.from_regex(r"\A[a-z]([a-z0-9-]{0,10}[a-z0-9])?\Z").filter(
    lambda name: name not in RESERVED_NAMES
)
SIZES = st.sampled_from(["64Mi", "1Gi", "1.5G", "128M", "104857600"])
TENSORS = st.fixed_dictionaries(
    {
        "name": TEXT,
        "datatype": st.sampled_from(get_args(Datatype)),
        "shape": st.lists(st.integers(-1, 10**6), max_size=4),
    }
)
SPECS = st.fixed_dictionaries(
    {
        "name": NAMES,
        "model": st.fixed_dictionaries(
            {"path": TEXT.filter(lambda path: "://" not in path)},
            optional={
                "engine": st.sampled_from(get_args(EngineName)),
                "allow_pickle": st.booleans(),
                "sha256": st.just("ab" * 32),
                "signature": st.fixed_dictionaries(
                    {
                        "inputs": st.lists(TENSORS, min_size=1, max_size=2),
                        "outputs": st.lists(TENSORS, min_size=1, max_size=2),
                    }
                ),
            },
        ),
    },
    optional={
        "version": st.sampled_from(["1.10", "v2", "2026-01-01", "1e5", "true", "null", "0x1f"]),
        "replicas": st.integers(1, 1000),
        "labels": st.dictionaries(TEXT, TEXT, max_size=3),
        "environment": st.fixed_dictionaries(
            {"python": st.sampled_from(["3.11", "3.12.1"])},
            optional={"requirements": st.one_of(TEXT, st.lists(TEXT, max_size=3))},
        ),
        "resources": st.fixed_dictionaries({"cpu": st.floats(0.01, 1024), "memory": SIZES}),
        "batching": st.fixed_dictionaries({"wait_ms_max": st.floats(0, 10_000)}),
        "route": st.fixed_dictionaries(
            {"weight": st.integers(0, 100)},
            optional={"sticky": st.fixed_dictionaries({"header": st.just("x-user")})},
        ),
    },
)


@given(values=SPECS, schema_file=st.none() | st.just("./pai.schema.json"))
def test_reading_what_was_rendered_gives_the_same_spec(
    values: dict[str, Any], schema_file: str | None
) -> None:
    spec = Spec.model_validate(values)
    assert read(render(spec, schema_file=schema_file), "pai.yaml") == spec


@given(values=SPECS)
def test_the_schema_accepts_every_valid_spec(values: dict[str, Any]) -> None:
    Draft202012Validator(json_schema()).validate(values)


@given(values=SPECS)
def test_a_spec_differs_in_nothing_from_itself(values: dict[str, Any]) -> None:
    spec = Spec.model_validate(values)
    assert diff(spec, spec, old_inputs={"model": "a"}, new_inputs={"model": "a"}) == ()


def test_the_text_for_a_detected_model_is_small_and_annotated() -> None:
    spec = Spec.model_validate({"name": "digits", "model": {"path": "m.onnx", "engine": "onnx"}})
    text = render(spec, schema_file="./pai.schema.json")
    lines = text.splitlines()
    assert lines[0] == "# yaml-language-server: $schema=./pai.schema.json"
    assert len(lines) < 35
    assert all(len(line) <= 100 for line in lines)
    for name in Spec.model_fields:
        assert f"{name}:" in text


def test_what_init_leaves_as_a_comment_is_valid_when_the_comment_mark_goes() -> None:
    spec = Spec.model_validate({"name": "digits", "model": {"path": "m.onnx", "engine": "onnx"}})
    above, _, below = render(spec).partition("# Also possible")
    lines = [line.removeprefix("# ") for line in below.splitlines()[1:]]
    read(above + "\n".join(lines) + "\n", "pai.yaml")


@pytest.mark.parametrize(
    "bad", [{"nme": "x"}, {"replicas": "2"}, {"replicas": 0}, {"name": "metrics"}]
)
def test_the_schema_refuses_what_reading_refuses(bad: dict[str, Any]) -> None:
    values = {"name": "a", "model": {"path": "m"}, **bad}
    assert not Draft202012Validator(json_schema()).is_valid(values)


def test_the_schema_describes_every_field() -> None:
    schema = json_schema()
    meta.validate(schema)
    for name, definition in schema["$defs"].items():
        for field, body in definition["properties"].items():
            if PurePosixPath(name, field) not in {
                PurePosixPath("Signature/inputs"),
                PurePosixPath("Signature/outputs"),
            }:
                assert "description" in body, f"{name}.{field}"


def test_a_diff_names_fields_and_inputs() -> None:
    old = Spec.model_validate({"name": "a", "version": "v1", "model": {"path": "m"}})
    new = Spec.model_validate({"name": "a", "model": {"path": "m"}, "replicas": 2})
    changes = diff(old, new, old_inputs={"model": "sha256:aa"}, new_inputs={"model": "sha256:bb"})
    assert [str(change) for change in changes] == [
        "~ replicas: 1 -> 2",
        "~ inputs.model: sha256:aa… -> sha256:bb…",
    ]


def test_a_first_deploy_adds_every_field() -> None:
    new = Spec.model_validate({"name": "a", "model": {"path": "m"}, "labels": {"x": "y"}})
    changes = {change.field: change for change in diff(None, new)}
    assert str(changes["labels.x"]) == "+ labels.x: y"
    assert all(change.before is None for change in changes.values())
    json.dumps([change.after for change in changes.values()])


def test_a_field_that_goes_is_shown() -> None:
    old = Spec.model_validate({"name": "a", "model": {"path": "m"}, "labels": {"x": "y"}})
    new = Spec.model_validate({"name": "a", "model": {"path": "m"}})
    assert [str(change) for change in diff(old, new)] == ["- labels.x: y"]
