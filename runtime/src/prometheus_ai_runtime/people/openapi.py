"""OpenAPI 3.1 from the models' signatures."""

from typing import Any

from prometheus_ai_runtime.people.columns import Column, columns_of
from prometheus_ai_runtime.signature import TensorSpec
from prometheus_ai_runtime.tensors.decode import FLOAT_MAX
from prometheus_ai_runtime.tensors.plan import Plan
from prometheus_ai_runtime.tensors.widen import ACCEPTS

Schema = dict[str, Any]

_PARQUET = "application/vnd.apache.parquet"
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
_CONTEXT = {
    "x-pai-release": ("string", "Name and version of the model that answered."),
    "x-pai-queue-us": ("integer", "Microseconds of waiting for the engine."),
    "x-pai-compute-us": ("integer", "Microseconds in the engine."),
    "x-pai-batch-rows": ("integer", "Rows in the batch."),
    "x-pai-throttled-us": ("integer", "Microseconds throttled by the CPU quota meanwhile."),
    "x-request-id": ("string", "As given, or made."),
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
    outputs = {t.name: _output_schema(t, plan.batched) for t in plan.signature.outputs}
    answer, values = _object(outputs), list(outputs.values())
    rows = _rows(answer, values[0] if len(values) == 1 else _tuple(values))
    answers = {"anyOf": [answer, rows, _object({"rows": rows})]}
    text, raw = {"type": "string"}, {"type": "string", "format": "binary"}
    body = {"application/json": {"schema": _rows_taken(columns)}, _PARQUET: {"schema": raw}}
    content = {
        "application/json": {"schema": answers},
        _PARQUET: {"schema": raw},
        "text/event-stream": {"schema": text},
    }
    if all(not c.shape for c in columns):
        body["text/csv"] = {"schema": text}
        content["text/csv"] = {"schema": text}
    return {
        "operationId": f"predict_{name}",
        "summary": f"Predict with {name}: rows in, answers in kind",
        "requestBody": {"required": True, "content": body},
        "responses": {"200": _answered("One answer a row.", content), **_failed()},
    }


def _rows_taken(columns: tuple[Column, ...]) -> Schema:
    """One row as an object, or many as objects and arrays, bare or under ``rows``."""
    values = [_column_schema(c) for c in columns]
    row = _object({c.name: _column_schema(c) for c in columns}) | {"additionalProperties": False}
    listed = [row, _tuple(values)]
    if len(columns) == 1:
        # The only value of a row needs no array around it.
        listed.append(values[0])
    rows = _rows(*listed)
    return {"anyOf": [row, rows, _object({"rows": rows}) | {"additionalProperties": False}]}


def _infer(name: str, plan: Plan) -> dict[str, Any]:
    tensors = [_tensor_taken(t) for t in plan.signature.inputs]
    wanted = _object({"name": {"enum": [t.name for t in plan.signature.outputs]}})
    body = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "maxLength": 256},
            "parameters": {"type": "object"},
            "inputs": {
                "type": "array",
                "items": {"anyOf": tensors},
                "minItems": len(tensors),
                "maxItems": len(tensors),
            },
            "outputs": {"type": "array", "items": wanted},
        },
    }
    answer = _object(
        {
            "model_name": {"const": name},
            "model_version": {"type": "string"},
            "outputs": {
                "type": "array",
                "items": {"anyOf": [_tensor_given(t) for t in plan.signature.outputs]},
            },
        }
    )
    raw = {"type": "string", "format": "binary"}
    return {
        "operationId": f"infer_{name}",
        "summary": f"Open Inference Protocol v2 inference with {name}",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": body},
                "application/octet-stream": {"schema": raw},
            },
        },
        "responses": {
            "200": _answered(
                "The outputs.",
                {
                    "application/json": {"schema": answer},
                    "application/octet-stream": {"schema": raw},
                    "text/event-stream": {"schema": {"type": "string"}},
                },
            ),
            **_failed(),
        },
    }


def _tensor_taken(spec: TensorSpec) -> Schema:
    kinds = [spec.datatype, *sorted(ACCEPTS.get(spec.datatype, ()))]
    described: dict[str, Schema] = {
        "name": {"const": spec.name},
        "datatype": {"enum": kinds},
        "shape": _shape_schema(spec),
        "data": {"type": "array"},
    }
    return _object(described)


def _tensor_given(spec: TensorSpec) -> Schema:
    values = {"type": "array", "items": _answer_schema(spec.datatype)}
    described = {
        "name": {"const": spec.name},
        "datatype": {"const": spec.datatype},
        "shape": _shape_schema(spec),
        "data": values,
    }
    return _object(described)


def _shape_schema(spec: TensorSpec) -> Schema:
    return _tuple(
        [{"type": "integer", "minimum": 0} if n < 0 else {"const": n} for n in spec.shape]
    )


def _object(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _tuple(items: list[Schema]) -> Schema:
    return {
        "type": "array",
        "prefixItems": items,
        "items": False,
        "minItems": len(items),
    }


def _rows(*kinds: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": {"anyOf": list(kinds)}}


def _column_schema(column: Column) -> Schema:
    schema = _value_schema(column.datatype)
    for size in reversed(column.shape):
        schema = _array_of(schema, size)
    return schema


def _output_schema(spec: TensorSpec, batched: bool) -> Schema:
    schema = _answer_schema(spec.datatype)
    for size in reversed(spec.shape[1:] if batched else spec.shape):
        schema = _array_of(schema, size)
    return schema


def _array_of(items: Schema, size: int) -> Schema:
    bounds = {} if size < 0 else {"minItems": size, "maxItems": size}
    return {"type": "array", "items": items, **bounds}


def _value_schema(datatype: str) -> Schema:
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
    largest = FLOAT_MAX.get(datatype)
    bounds = {} if largest is None else {"minimum": -largest, "maximum": largest}
    return {"type": "number", **bounds}


def _answer_schema(datatype: str) -> Schema:
    """A value of an answer: NaN and infinity have no JSON form and become null."""
    schema = _value_schema(datatype)
    return {"type": ["number", "null"]} if schema["type"] == "number" else schema


def _answered(description: str, content: dict[str, Any]) -> dict[str, Any]:
    headers = {
        name: {"description": text, "schema": {"type": kind}}
        for name, (kind, text) in _CONTEXT.items()
    }
    return {"description": description, "headers": headers, "content": content}


def _plain(summary: str, schema: Schema) -> dict[str, Any]:
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
