"""``POST /NAME/predict``, or ``POST /predict`` where one model is served: rows for people, answers in kind."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from numpy.typing import NDArray

from prometheus_ai_runtime.batching.work import BatchResult
from prometheus_ai_runtime.errors import InvalidRequest, RequestError
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.hosting.model import HostedModel
from prometheus_ai_runtime.http.events import submit_stream, wants_events
from prometheus_ai_runtime.http.exchange import Exchange
from prometheus_ai_runtime.http.infer import send, submit
from prometheus_ai_runtime.people import answers
from prometheus_ai_runtime.people.columns import columns_of, decode_rows
from prometheus_ai_runtime.people.tables import (
    UnsupportedKind,
    rows_from_csv,
    rows_from_parquet,
)
from prometheus_ai_runtime.signature import TensorSpec

_CSV = b"text/csv"
_PARQUET = b"application/vnd.apache.parquet"
_JSON = b"application/json"

Encode = Callable[[Sequence[TensorSpec], BatchResult, int, int], bytes]


class PredictEndpoint:
    """Takes rows as JSON objects or arrays, CSV or Parquet."""

    def __init__(self, host: ModelHost) -> None:
        self._host = host
        self._request_s = host.config.timeouts.request_s
        self._body_bytes_max = host.config.limits.request_bytes_max

    def __call__(self, exchange: Exchange) -> None:
        """Decode and queue; the answer follows when the batch has run."""
        head = exchange.head
        model = self._host.serving(head.model or self._only_model(), head.version)
        try:
            rows, encode, kind = self._rows(exchange, model)
            decoded = decode_rows(model.plan, rows, not model.finite_only)
        except RequestError as error:
            model.misfit(error)
            raise
        exchange.decoded = decoded
        exchange.rows = decoded.rows
        exchange.parts = decoded.parts
        exchange.row_shapes = decoded.row_shapes
        if wants_events(exchange):
            submit_stream(exchange, model, self._request_s, plain=True)
            return
        exchange.responder = PredictResponder(model, encode, kind)
        submit(exchange, model, self._request_s)

    def _only_model(self) -> str:
        names = list(self._host.models)
        if len(names) != 1:
            raise InvalidRequest(
                f"/predict is for one model and this server has {len(names)}; use /NAME/predict"
            )
        return names[0]

    def _rows(self, exchange: Exchange, model: HostedModel) -> tuple[list[Any], Encode, bytes]:
        given = exchange.head.headers.get(b"content-type", _JSON)
        kind = given.split(b";", 1)[0].strip().lower()
        columns = columns_of(model.plan)
        if kind == _CSV:
            return list(rows_from_csv(exchange.body, columns)), answers.as_csv, _CSV
        if kind in (_PARQUET, b"application/x-parquet"):
            rows = rows_from_parquet(exchange.body, columns, self._body_bytes_max)
            return list(rows), answers.as_parquet, _PARQUET
        if kind in (_JSON, b"application/x-www-form-urlencoded", b"text/json"):
            # curl calls every body a form unless told otherwise.
            return _json_rows(exchange.body)
        raise UnsupportedKind(
            f"content-type {kind.decode('latin-1')[:80]} is not read here; "
            "send application/json, text/csv or application/vnd.apache.parquet"
        )


class PredictResponder:
    """Writes one answer in the kind of its request."""

    def __init__(self, model: HostedModel, encode: Encode, kind: bytes) -> None:
        self._model = model
        self._encode = encode
        self._kind = b"content-type: %b\r\n" % kind

    def __call__(self, exchange: Exchange, result: BatchResult, first_row: int) -> None:
        """Answer one request from its rows of the batch."""
        specs = self._model.plan.signature.outputs
        body = self._encode(specs, result, first_row, exchange.rows)
        send(exchange, self._model, result, self._kind, body)

    def piece(self, exchange: Exchange, outputs: list[NDArray[Any]]) -> None:
        """Never called: only events are streamed."""
        raise NotImplementedError

    def fail(self, exchange: Exchange, error: RequestError) -> None:
        """Answer with the error object."""
        exchange.refuse(error)


def _json_rows(body: bytes | memoryview) -> tuple[list[Any], Encode, bytes]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if isinstance(document, dict):
        rows = document.get("rows")
        if isinstance(rows, list) and len(document) == 1:
            return rows, _wrapped_for(rows), _JSON
        return [document], _one_object, _JSON
    if isinstance(document, list):
        return document, _plain_for(document), _JSON
    raise InvalidRequest("the body must be a row (an object) or a list of rows")


def _wrapped_for(rows: list[Any]) -> Encode:
    inner = _plain_for(rows)

    def encode(specs: Sequence[TensorSpec], result: BatchResult, first_row: int, n: int) -> bytes:
        return b'{"rows":' + inner(specs, result, first_row, n) + b"}"

    return encode


def _plain_for(rows: list[Any]) -> Encode:
    return _objects if rows and isinstance(rows[0], dict) else _arrays


def _one_object(
    specs: Sequence[TensorSpec], result: BatchResult, first_row: int, rows: int
) -> bytes:
    return answers.objects(specs, answers.json_rows(specs, result, first_row, rows))[0]


def _objects(specs: Sequence[TensorSpec], result: BatchResult, first_row: int, rows: int) -> bytes:
    listed = answers.objects(specs, answers.json_rows(specs, result, first_row, rows))
    return b"[" + b",".join(listed) + b"]"


def _arrays(specs: Sequence[TensorSpec], result: BatchResult, first_row: int, rows: int) -> bytes:
    listed = answers.arrays(answers.json_rows(specs, result, first_row, rows))
    return b"[" + b",".join(listed) + b"]"
