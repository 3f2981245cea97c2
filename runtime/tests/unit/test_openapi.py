"""What the description of the endpoints says is what they take and give."""

import asyncio
import json
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator, meta
from runtime.tests.fakes import FakeServer, Response

ROW = {"x": [1.0, 2.0], "s": ["a", "b"], "b": True}
ARRAY = [[1.0, 2.0], ["a", "b"], True]
X = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.0]}
S = {"name": "s", "datatype": "BYTES", "shape": [1, 2], "data": ["a", "b"]}
B = {"name": "b", "datatype": "BOOL", "shape": [1, 1], "data": [True]}
PREDICT, INFER = "/tiny/predict", "/v2/models/tiny/infer"
JSON = "application/json"


def talked(path: str, body: Any, **headers: str) -> tuple[Any, Response]:
    """The description's operation of a path, and the answer to a body."""

    async def run() -> list[Response]:
        server = FakeServer()
        raw = json.dumps(body).encode()
        lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\n{lines}content-length: {len(raw)}\r\n\r\n"
        ask = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
        responses, _ = await server.converse(ask, head.encode() + raw)
        return responses

    described, answer = asyncio.run(run())
    return json.loads(described.body)["paths"][path]["post"], answer


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PREDICT, ROW),
        (PREDICT, [ROW, ROW]),
        (PREDICT, [ARRAY]),
        (PREDICT, {"rows": [ROW]}),
        (PREDICT, {"rows": [ARRAY, ARRAY]}),
        (PREDICT, []),
        (PREDICT, {"rows": []}),
        (PREDICT, {**ROW, "more": 1}),
        (PREDICT, {"x": [1.0, 2.0]}),
        (PREDICT, [ARRAY[:2]]),
        (PREDICT, [{**ROW, "x": [1.0]}]),
        (PREDICT, [{**ROW, "x": [1e39, 2.0]}]),
        (PREDICT, [{**ROW, "s": [1, 2]}]),
        (PREDICT, 7),
        (INFER, {"inputs": [X, S, B]}),
        (INFER, {"inputs": [B, X, S], "id": "a", "parameters": {"priority": 0}}),
        (INFER, {"inputs": [{**X, "datatype": "FP16"}, S, B], "outputs": [{"name": "y"}]}),
        (INFER, {"inputs": [X, S, B], "outputs": [{"name": "z"}]}),
        (INFER, {"inputs": [X, S, B], "id": 7}),
        (INFER, {"inputs": [X, S]}),
        (INFER, {"inputs": [{**X, "datatype": "INT64"}, S, B]}),
        (INFER, {"inputs": [{**X, "shape": [1]}, S, B]}),
        (INFER, {"inputs": [{**X, "name": "z"}, S, B]}),
        (INFER, {}),
    ],
)
def test_a_body_is_taken_if_it_is_described(path: str, body: Any) -> None:
    operation, answer = talked(path, body)
    described = Draft202012Validator(operation["requestBody"]["content"][JSON]["schema"])
    assert described.is_valid(body) == (answer.status == 200), answer.body
    told = operation["responses"][str(answer.status)]
    meta.validate(told["content"][JSON]["schema"])
    Draft202012Validator(told["content"][JSON]["schema"]).validate(json.loads(answer.body))
    for name in told.get("headers", {}):
        assert name in answer.headers


def test_tables_and_events_are_described() -> None:
    operation, _ = talked(PREDICT, ROW)
    table = "application/vnd.apache.parquet"
    assert {JSON, table} <= set(operation["requestBody"]["content"])
    assert {JSON, table, "text/event-stream"} <= set(operation["responses"]["200"]["content"])
    # A list has no place in a CSV cell, and one input here is a list.
    assert "text/csv" not in operation["requestBody"]["content"]


def test_a_model_is_named_where_the_path_says_it() -> None:
    operation, answer = talked(INFER, {"inputs": [X, S, B]})
    schema = operation["responses"]["200"]["content"][JSON]["schema"]
    renamed = json.loads(answer.body) | {"model_name": "another"}
    assert not Draft202012Validator(schema).is_valid(renamed)
