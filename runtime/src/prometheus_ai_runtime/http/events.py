"""Server-sent events: streamed answers in the chunked coding, their context in trailers."""

from time import perf_counter
from typing import Any

import orjson
from numpy.typing import NDArray

from prometheus_ai_runtime.batching.streaming import Window
from prometheus_ai_runtime.batching.work import BatchResult
from prometheus_ai_runtime.errors import InvalidRequest, RequestError
from prometheus_ai_runtime.hosting.entry import enter
from prometheus_ai_runtime.hosting.model import HostedModel
from prometheus_ai_runtime.http.exchange import Exchange, made_request_id
from prometheus_ai_runtime.people.answers import rows_of_piece
from prometheus_ai_runtime.tensors.encode import json_values

_EVENT_STREAM = b"text/event-stream"
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\ntrailer: x-pai-queue-us, "
    b"x-pai-compute-us, x-pai-batch-rows, x-pai-throttled-us\r\n"
    b"x-pai-release: %b\r\nx-request-id: %b\r\n%b\r\n"
)
_TRAILERS = (
    b"0\r\nx-pai-queue-us: %d\r\nx-pai-compute-us: %d\r\nx-pai-batch-rows: %d\r\n"
    b"x-pai-throttled-us: %d\r\n\r\n"
)


def wants_events(exchange: Exchange) -> bool:
    """Whether the client asked for events."""
    return _EVENT_STREAM in exchange.head.headers.get(b"accept", b"")


def submit_stream(exchange: Exchange, model: HostedModel, request_s: float, plain: bool) -> None:
    """Queue a request whose answer is wanted as events; ``plain`` gives rows in place of tensors."""
    if exchange.head.connection and exchange.head.keep_alive:
        raise InvalidRequest("events need HTTP/1.1")
    exchange.responder = EventResponder(model, plain)
    exchange.work_owner = model.batcher
    timeout_s = exchange.timeout_s
    if timeout_s is None or timeout_s > request_s:
        timeout_s = request_s
    loaded = model.loaded
    streams = loaded is not None and loaded.call.streams
    window = Window() if streams else None
    enter(exchange, model, exchange.received, timeout_s, window)


class EventResponder:
    """Writes one streamed answer."""

    def __init__(self, model: HostedModel, plain: bool) -> None:
        self._model = model
        self._plain = plain
        self._begun = False

    def piece(self, exchange: Exchange, outputs: list[NDArray[Any]]) -> None:
        """Send one event."""
        self._send(exchange, b"data: %b\n\n" % self._encoded(exchange, outputs))

    def __call__(self, exchange: Exchange, result: BatchResult, first_row: int) -> None:
        """Send the end; a model that does not yield has its whole answer as one event."""
        if result.outputs:
            rows = exchange.rows
            chosen = range(len(result.outputs))
            self.piece(exchange, [result.slice_of(i, first_row, rows) for i in chosen])
        self._send(exchange, b"event: end\ndata: {}\n\n")
        trailers = _TRAILERS % (
            (result.started - exchange.arrived) * 1e6,
            result.compute_s * 1e6,
            result.rows,
            result.throttled_us - exchange.throttled_from_us,
        )
        exchange.outlet.deliver_part(exchange, trailers, last=True)
        self._model.stats.request_seconds.record(perf_counter() - exchange.received)

    def fail(self, exchange: Exchange, error: RequestError) -> None:
        """Send the error: as an answer before the first event, as an event after it."""
        if not self._begun:
            exchange.refuse(error)
            return
        self._send(exchange, b"event: error\ndata: %b\n\n" % orjson.dumps({"error": error.message}))
        exchange.outlet.deliver_part(exchange, b"0\r\n\r\n", last=True)

    def _send(self, exchange: Exchange, event: bytes) -> None:
        head = b""
        if not self._begun:
            self._begun = True
            closing = b"connection: close\r\n" if exchange.close_after else b""
            head = _HEAD % (
                self._model.config.label.encode(),
                exchange.request_id or made_request_id(),
                closing,
            )
        chunk = b"%b%x\r\n%b\r\n" % (head, len(event), event)
        exchange.outlet.deliver_part(exchange, chunk, last=False)

    def _encoded(self, exchange: Exchange, outputs: list[NDArray[Any]]) -> bytes:
        specs = self._model.plan.signature.outputs
        if self._plain:
            return rows_of_piece(specs, outputs)
        document: dict[str, Any] = {
            "model_name": self._model.config.name,
            "model_version": self._model.config.version,
        }
        if exchange.decoded.id is not None:
            document["id"] = exchange.decoded.id
        document["outputs"] = [
            {
                "name": spec.name,
                "datatype": spec.datatype,
                "shape": list(array.shape),
                "data": json_values(array),
            }
            for spec, array in zip(specs, outputs, strict=True)
        ]
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
