"""Inference over HTTP: decode, queue, and write the answer from the batch's shared pieces."""

from collections.abc import Iterable, Sequence
from itertools import repeat
from time import perf_counter
from typing import Any

import orjson

from prometheus_ai_runtime.batching.work import BatchResult, Work
from prometheus_ai_runtime.errors import InvalidRequest, RequestError
from prometheus_ai_runtime.hosting.entry import enter
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.hosting.model import HostedModel
from prometheus_ai_runtime.http.events import submit_stream, wants_events
from prometheus_ai_runtime.http.exchange import (
    ID_PREFIX,
    Exchange,
    made_request_id,
    next_number,
)
from prometheus_ai_runtime.tensors.decode import decode
from prometheus_ai_runtime.tensors.encode import are_large, json_values, raw_bytes, rows_one_by_one
from prometheus_ai_runtime.tensors.shortcut import UNSOUND, Shortcuts

_NUMPY = orjson.OPT_SERIALIZE_NUMPY
_loads = orjson.loads
_FRAGMENTS_MAX = 256
_ANSWER = (
    b"%b%b%bx-pai-queue-us: %d\r\nx-pai-throttled-us: %d\r\n"
    b"x-request-id: %b\r\ncontent-length: %d\r\n\r\n%b"
)
_ORDINARY_HEAD = b"%bcontent-type: application/json\r\nx-pai-throttled-us: %d\r\nx-request-id: "
_MADE_ID = ID_PREFIX + b"-%x-"
_NAMED = b"%b%b\r\nx-pai-queue-us: %d\r\ncontent-length: %d\r\n\r\n%b"
_ORDINARY = b"%b%d\r\nx-pai-queue-us: %d\r\ncontent-length: %d\r\n\r\n%b"
JSON_LINE = b"content-type: application/json\r\n"
_SHADOW = b"x-pai-shadow"
"""The gateway marks copies of requests with it."""
_BATCH_HEAD = (
    b"HTTP/1.1 200 OK\r\nx-pai-release: %b\r\nx-pai-compute-us: %d\r\nx-pai-batch-rows: %d\r\n"
)


class InferEndpoint:
    """``POST /v2/models/NAME[/versions/VERSION]/infer``."""

    def __init__(self, host: ModelHost) -> None:
        self._host = host
        self._request_s = host.config.timeouts.request_s

    def infer(self, exchange: Exchange) -> None:
        """Decode and queue; the answer follows when the batch has run."""
        head = exchange.head
        model = self._host.serving(head.model, head.version)
        try:
            responder = model.memo["infer"]
        except KeyError:
            responder = model.memo["infer"] = InferResponder(model, self._request_s)
        exchange.responder = responder
        if not head.ordinary:
            self._decode(exchange, model)
            if wants_events(exchange):
                submit_stream(exchange, model, self._request_s, plain=False)
                return
        elif responder.take(exchange):
            enter(exchange, model, exchange.received, self._request_s)
            return
        else:
            self._decode(exchange, model)
            responder.learn(exchange)
        submit(exchange, model, self._request_s)

    def stream(self, exchange: Exchange) -> None:
        """Decode and queue; the answer comes as events."""
        head = exchange.head
        model = self._host.serving(head.model, head.version)
        self._decode(exchange, model)
        submit_stream(exchange, model, self._request_s, plain=False)

    def _decode(self, exchange: Exchange, model: HostedModel) -> None:
        try:
            json_bytes = exchange.head.json_bytes
            decoded = decode(model.plan, exchange.body, json_bytes, model.finite_only)
            if decoded.parameters:
                read_parameters(exchange, decoded.parameters)
        except RequestError as error:
            model.misfit(error)
            raise
        exchange.decoded = decoded
        exchange.rows = decoded.rows
        exchange.parts = decoded.parts
        exchange.row_shapes = decoded.row_shapes


def submit(exchange: Exchange, model: HostedModel, request_s: float) -> None:
    """Queue an exchange whose rows, parts and responder are set."""
    timeout_s = exchange.timeout_s
    if timeout_s is None or timeout_s > request_s:
        timeout_s = request_s
    exchange.work_owner = model.batcher
    enter(exchange, model, exchange.received, timeout_s)


def read_parameters(exchange: Exchange, parameters: dict[str, Any]) -> None:
    """The request parameters that mean something here: priority and timeout (microseconds)."""
    priority = parameters.get("priority")
    if priority is not None:
        if type(priority) is not int or not 0 <= priority <= 9:
            raise InvalidRequest("parameter `priority` must be 0 (first) to 9 (last)")
        exchange.priority = priority
    timeout_us = parameters.get("timeout")
    if timeout_us is not None:
        if type(timeout_us) is not int or timeout_us < 0:
            raise InvalidRequest("parameter `timeout` must be a whole number of microseconds")
        if timeout_us:
            exchange.timeout_s = timeout_us / 1e6


class InferResponder:
    """Writes protocol answers of one model."""

    def __init__(self, model: HostedModel, request_s: float) -> None:
        self._model = model
        self._outputs = model.plan.signature.outputs
        names = {"model_name": model.config.name, "model_version": model.config.version}
        self._names = orjson.dumps(names)[:-1]
        self._fragments: dict[Any, list[bytes]] = {}
        self._shortcuts = Shortcuts(model.plan)
        self._request_s = request_s

    def take(self, exchange: Exchange) -> bool:
        """Read a body whose surroundings are known; false when it must be decoded in full."""
        body = exchange.body
        # Large bodies come as views; they gain nothing here.
        found = self._shortcuts.read(body) if type(body) is bytes else None
        if found is None:
            return False
        known, part = found
        decoded, extent, values_at = known
        model = self._model
        exchange.parts = [part]
        exchange.decoded = decoded
        exchange.rows = decoded.rows
        exchange.row_shapes = decoded.row_shapes
        exchange.work_owner = model.batcher
        if decoded.rows == 1 and not exchange.close_after:
            exchange.crowd = self
            # A request that is kept to be sent again is kept whole.
            is_kept = model.recent.requests is not None
            if extent.pack is not None and model.is_sole and model.cost is None and not is_kept:
                exchange.repeater = self
                exchange.pack = extent.pack
                exchange.values_at = values_at
        return True

    def begin_again(self, exchange: Exchange, values: bytes, now: float) -> bool:
        """Queue an answered exchange with other values; false when the request must be read in full."""
        model = self._model
        if model.state != "ready" or not model.is_sole:
            return False
        try:
            exchange.parts[0] = exchange.pack(*_loads(values))
        except UNSOUND:
            return False
        exchange.received = exchange.arrived = now
        exchange.deadline = now + self._request_s
        exchange.throttled_from_us = model.throttling.total_us
        exchange.answered = exchange.settled = False
        return model.batcher.offer(exchange)

    def learn(self, exchange: Exchange) -> None:
        """Remember what surrounds the values of a body that was decoded in full."""
        if type(exchange.body) is bytes:
            self._shortcuts.learn(exchange.body, exchange.decoded)

    def complete_all(self, works: Sequence[Work], result: BatchResult) -> None:
        """Answer the ordinary requests for one row of a batch, all that they share made once.

        Where the CPU was throttled while they arrived, they share less and are left alone.
        """
        throttled_from_us = works[0].throttled_from_us
        if any([w.throttled_from_us != throttled_from_us for w in works]):  # noqa: C419 - a list is quicker
            return
        if len(works) != result.rows:
            works = [w for w in works for _ in range(w.rows)]
        throttled_us = result.throttled_us - throttled_from_us
        # Those that brought no id are called by the batch's, and a row each.
        head = _ORDINARY_HEAD % (head_of(result, self._model), throttled_us)
        made_head = head + _MADE_ID % next_number()
        started, row = result.started, 0
        waits_s: list[float] = []
        exchange: Any
        try:
            for exchange, body in zip(works, self._one_row_bodies(result), strict=True):
                if exchange.crowd is self and not exchange.settled:
                    wait_s = started - exchange.arrived
                    wait_us = int(wait_s * 1e6)
                    if exchange.request_id:
                        data = _NAMED % (head, exchange.request_id, wait_us, len(body), body)
                        if self._model.recent.keeps:
                            remember(exchange, self._model, body)
                    else:
                        data = _ORDINARY % (made_head, row, wait_us, len(body), body)
                    exchange.settled = True
                    exchange.outlet.deliver_usual(exchange, data)
                    waits_s.append(wait_s)
                row += 1
        finally:
            stats = self._model.stats
            since_s = perf_counter() - started
            stats.ok += len(waits_s)
            stats.queue_seconds.pending += waits_s
            stats.request_seconds.pending += [wait_s + since_s for wait_s in waits_s]

    def __call__(self, exchange: Exchange, result: BatchResult, first_row: int) -> None:
        """Answer one request from its rows of the batch."""
        decoded = exchange.decoded
        if decoded.wanted is None:
            rows = decoded.rows
            if not result.fragments:
                result.fragments = self._around(result, 1)
            fragments = result.fragments if rows == 1 else self._around(result, rows)
            body = self._default_body(decoded.id, rows, result, first_row, fragments)
            kind = JSON_LINE
        else:
            body, kind = self._chosen_body(exchange, result, first_row)
        send(exchange, self._model, result, kind, body)

    def piece(self, exchange: Exchange, outputs: list[Any]) -> None:
        """Never called: only events are streamed."""
        raise NotImplementedError

    def fail(self, exchange: Exchange, error: RequestError) -> None:
        """Answer with the protocol's error object."""
        exchange.refuse(error)

    def _one_row_bodies(self, result: BatchResult) -> Iterable[bytes]:
        """Every row's answer as the only row of its request."""
        begin, *further = self._around(result, 1)
        begin = self._names + begin
        if not further and result.batched and are_large(result.outputs[0]):
            return (b"%b%b]}]}" % (begin, row) for row in rows_one_by_one(result.outputs[0]))
        first = result.json_rows(0)
        if not further:
            return [b"%b%b]}]}" % (begin, values) for values in first]
        pieces: list[Any] = [repeat(begin), first]
        for index, fragment in enumerate(further, 1):
            pieces += [repeat(fragment), result.json_rows(index)]
        return [b"".join(row) for row in zip(*pieces, repeat(b"]}]}"))]

    def _around(self, result: BatchResult, rows: int) -> list[bytes]:
        """The JSON before each output's values, for answers with this many rows."""
        shapes = tuple([a.shape[1:] if result.batched else a.shape for a in result.outputs])
        key = (rows, shapes)
        fragments = self._fragments.get(key)
        if fragments is None:
            fragments = []
            for position, (spec, shape) in enumerate(zip(self._outputs, shapes, strict=True)):
                full = [rows, *shape] if result.batched else list(shape)
                described = {"name": spec.name, "datatype": spec.datatype, "shape": full}
                text = orjson.dumps(described)[:-1] + b',"data":['
                fragments.append((b"]}," if position else b',"outputs":[') + text)
            if len(self._fragments) >= _FRAGMENTS_MAX:
                self._fragments.clear()
            self._fragments[key] = fragments
        return fragments

    def _default_body(
        self,
        request_id: str | None,
        rows: int,
        result: BatchResult,
        first_row: int,
        fragments: list[bytes],
    ) -> bytes:
        pieces = [self._names]
        if request_id is not None:
            pieces.append(b',"id":' + orjson.dumps(request_id))
        for index, fragment in enumerate(fragments):
            pieces.append(fragment)
            values = result.json_rows(index)
            if rows == 1 or not result.batched:
                pieces.append(values[first_row])
            else:
                pieces.append(b",".join(values[first_row : first_row + rows]))
        pieces.append(b"]}]}")
        return b"".join(pieces)

    def _chosen_body(
        self, exchange: Exchange, result: BatchResult, first_row: int
    ) -> tuple[bytes, bytes]:
        """An answer with the outputs asked for, each as JSON or binary."""
        decoded = exchange.decoded
        assert decoded.wanted is not None, "the caller checked"
        outputs: list[dict[str, Any]] = []
        blobs: list[bytes] = []
        for wanted in decoded.wanted:
            spec = self._outputs[wanted.index]
            array = result.slice_of(wanted.index, first_row, decoded.rows)
            output: dict[str, Any] = {
                "name": spec.name,
                "datatype": spec.datatype,
                "shape": list(array.shape),
            }
            if wanted.binary:
                blobs.append(raw_bytes(spec, array))
                output["parameters"] = {"binary_data_size": len(blobs[-1])}
            else:
                output["data"] = json_values(array)
            outputs.append(output)
        document: dict[str, Any] = {
            "model_name": self._model.config.name,
            "model_version": self._model.config.version,
        }
        if decoded.id is not None:
            document["id"] = decoded.id
        document["outputs"] = outputs
        text = orjson.dumps(document, option=_NUMPY)
        if not blobs:
            return text, JSON_LINE
        kind = (
            b"content-type: application/octet-stream\r\ninference-header-content-length: %d\r\n"
            % len(text)
        )
        return b"".join([text, *blobs]), kind


def head_of(result: BatchResult, model: HostedModel) -> bytes:
    """The response head lines that every answer of a batch shares."""
    head = result.head
    if head is None:
        head = result.head = _BATCH_HEAD % (
            model.config.label.encode(),
            result.compute_s * 1e6,
            result.rows,
        )
    return head


def send(
    exchange: Exchange, model: HostedModel, result: BatchResult, kind: bytes, body: bytes
) -> None:
    """Deliver a successful answer with the batch's context in its head."""
    head = exchange.head
    if exchange.close_after:
        connection = b"connection: close\r\n"
    else:
        connection = head.connection
    data = _ANSWER % (
        head_of(result, model),
        kind,
        connection,
        (result.started - exchange.arrived) * 1e6,
        result.throttled_us - exchange.throttled_from_us,
        exchange.request_id or made_request_id(),
        len(body),
        body,
    )
    exchange.outlet.deliver(exchange, data)
    model.stats.request_seconds.record(perf_counter() - exchange.received)
    # Only a request that brought an id can be found again; the gateway gives every request one.
    if model.recent.keeps and exchange.request_id:
        remember(exchange, model, body if kind == JSON_LINE else None)


def remember(exchange: Exchange, model: HostedModel, body: bytes | None) -> None:
    """Keep an answer, and the request if it is to be sent again, for the control plane."""
    head, label = exchange.head, model.config.label
    is_shadow = _SHADOW in head.headers
    model.recent.add(exchange.request_id, label, is_shadow=is_shadow, body=body)
    kept = model.recent.requests
    # One that names a version would be asked of that one alone.
    if kept is not None and not is_shadow and not head.version:
        given = head.headers.get(b"content-type", b"application/json")
        kept.add(head.path, given, head.json_bytes, exchange.body)
