"""The JSON Schema of a spec, so that editors complete and check it."""

from typing import Any

from prometheus_ai.domain.spec import RESERVED_NAMES, Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema of ``pai.yaml``."""
    schema = Spec.model_json_schema()
    schema["properties"]["name"]["not"] = {"enum": sorted(RESERVED_NAMES)}
    return {
        "$schema": DIALECT,
        "$id": "urn:prometheus-ai:spec",
        **schema,
        "title": "PROMETHEUS backend",
        "examples": [{"name": "digits", "model": {"path": "model.onnx", "engine": "onnx"}}],
    }
