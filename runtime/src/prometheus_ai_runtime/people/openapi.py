"""OpenAPI 3.1 from the models' signatures."""

from typing import Any

from prometheus_ai_runtime.people.columns import Column, columns_of
from prometheus_ai_runtime.signature import TensorSpec
from prometheus_ai_runtime.tensors.plan import Plan

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
}
_ERRORS = {
    "400": "The request does not fit the model; the text names the input and the row.",
    "404": "No such model or version.",
    "413": "A limit was passed.",
    "429": "The queue is full; Retry-After says when it will have drained.",
    "500": "The model failed on this request.",
    "503": "The model is not ready.",
    "504": "Not finished in time.",
}


def document(plans: dict[str, Plan], version: str) -> dict[str, Any]:
    """The description of every ready model's endpoints, by model name."""
    paths: dict[str, Any] = {}
    for name, plan in plans.items():
        paths[f"/{name}/predict"] = {"post": _predict(name, plan)}
        paths[f"/v2/models/{name}/infer"] = {"post": _infer(name, plan)}
        paths[f"/v2/models/{name}"] = {"get": _plain(f"Metadata of {name}", {"type": "object"})}
        paths[f"/v2/models/{name}/ready"] = {"get": _ready(f"Whether {name} takes requests")}
    paths["/v2/health/live"] = {"get": _ready("Whether the server makes progress")}
    paths["/v2/health/ready"] = {"get": _ready("Whether every model takes requests")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "pai-runtime", "version": version},
        "paths": paths,
    }


def _predict(name: str, plan: Plan) -> dict[str, Any]:
    columns = columns_of(plan)
    row = {
        "type": "object",
        "required": [c.name for c in columns],
        "additionalProperties": False,
        "properties": {c.name: _column_schema(c) for c in columns},
    }
    answer = {
        "type": "object",
        "required": [t.name for t in plan.signature.outputs],
        "properties": {t.name: _output_schema(t, plan.batched) for t in plan.signature.outputs},
    }
    array = {"type": "array", "prefixItems": [_column_schema(c) for c in columns], "items": False}
    body: dict[str, Any] = {
        "application/json": {
            "schema": {
                "oneOf": [
                    row,
                    {"type": "array", "minItems": 1, "items": row},
                    {"type": "array", "minItems": 1, "items": array},
                ]
            }
        }
    }
    content: dict[str, Any] = {
        "application/json": {
            "schema": {"oneOf": [answer, {"type": "array", "items": answer}, {"type": "array"}]}
        }
    }
    if all(not c.shape for c in columns):
        body["text/csv"] = {"schema": {"type": "string"}}
        content["text/csv"] = {"schema": {"type": "string"}}
    return {
        "operationId": f"predict_{name}",
        "summary": f"Predict with {name}: rows in, answers in kind",
        "requestBody": {"required": True, "content": body},
        "responses": {"200": {"description": "One answer a row.", "content": content}, **_failed()},
    }


def _infer(name: str, plan: Plan) -> dict[str, Any]:
    tensors = [
        {
            "type": "object",
            "required": ["name", "shape", "datatype", "data"],
            "properties": {
                "name": {"const": t.name},
                "datatype": {"const": t.datatype},
                "shape": {
                    "type": "array",
                    "prefixItems": [
                        {"type": "integer", "minimum": 0} if n < 0 else {"const": n}
                        for n in t.shape
                    ],
                    "items": False,
                },
                "data": {"type": "array"},
            },
        }
        for t in plan.signature.inputs
    ]
    body = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "prefixItems": tensors, "items": False},
            "outputs": {"type": "array", "items": {"type": "object"}},
        },
    }
    return {
        "operationId": f"infer_{name}",
        "summary": f"Open Inference Protocol v2 inference with {name}",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {
                "description": "The outputs.",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            **_failed(),
        },
    }


def _column_schema(column: Column) -> dict[str, Any]:
    schema = _value_schema(column.datatype)
    for size in reversed(column.shape):
        schema = _array_of(schema, size)
    return schema


def _output_schema(spec: TensorSpec, batched: bool) -> dict[str, Any]:
    schema = _value_schema(spec.datatype)
    for size in reversed(spec.shape[1:] if batched else spec.shape):
        schema = _array_of(schema, size)
    return schema


def _array_of(items: dict[str, Any], size: int) -> dict[str, Any]:
    bounds = {} if size < 0 else {"minItems": size, "maxItems": size}
    return {"type": "array", "items": items, **bounds}


def _value_schema(datatype: str) -> dict[str, Any]:
    if datatype == "BYTES":
        return {"type": "string"}
    if datatype == "BOOL":
        return {"type": "boolean"}
    if datatype.startswith(("INT", "UINT")):
        bits = int(datatype.lstrip("UINT"))
        low, high = (
            (0, 2**bits - 1) if datatype[0] == "U" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
        return {"type": "integer", "minimum": low, "maximum": high}
    return {"type": "number"}


def _plain(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"summary": summary, "responses": {"200": {"description": "Yes.", "content": content}}}


def _ready(summary: str) -> dict[str, Any]:
    answer = _plain(summary, {"type": "object"})
    answer["responses"]["503"] = {"description": "No."}
    return answer


def _failed() -> dict[str, Any]:
    return {
        code: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
        for code, text in _ERRORS.items()
    }
