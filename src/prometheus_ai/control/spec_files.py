"""Spec files as the surfaces use them: read, check, write, describe."""

from collections.abc import Mapping
from typing import Any

from prometheus_ai.domain.spec import Spec
from prometheus_ai.specs.read import check, read
from prometheus_ai.specs.render import render
from prometheus_ai.specs.schema import json_schema


def read_spec(text: str, source: str) -> Spec:
    """Read the text of a spec file.

    Raises:
        InvalidSpec: with every problem, each at its line.
    """
    return read(text, source)


def check_spec(values: Mapping[str, Any], source: str = "spec") -> Spec:
    """Check a spec given as plain values.

    Raises:
        InvalidSpec: with every problem.
    """
    return check(values, source)


def render_spec(spec: Spec, *, schema_file: str | None = None) -> str:
    """Write a spec as annotated text."""
    return render(spec, schema_file=schema_file)


def spec_schema() -> dict[str, Any]:
    """Return the JSON Schema of specs."""
    return json_schema()
