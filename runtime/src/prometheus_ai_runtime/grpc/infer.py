"""ModelInfer and ModelStreamInfer: decode, queue, and answer from the batch's outputs."""

from collections import deque
from time import perf_counter
from typing import Any

from numpy.typing import NDArray

from prometheus_ai_runtime.batching.streaming import Window
from prometheus_ai_runtime.batching.work import BatchResult, Work
from prometheus_ai_runtime.errors import InvalidRequest, Overloaded, RequestError
from prometheus_ai_runtime.grpc.answers import Answers
from prometheus_ai_runtime.grpc.request import (
    Envelope,
    Layout,
    Split,
    layout_of,
    read_envelope,
    read_raw,
    read_typed,
    split,
)
from prometheus_ai_runtime.grpc.wire import sized, text
from prometheus_ai_runtime.hosting.entry import enter
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.hosting.model import HostedModel
from prometheus_ai_runtime.http.exchange import made_request_id
from prometheus_ai_runtime.http2.call import Call
from prometheus_ai_runtime.tensors.plan import Plan

_LAYOUTS_CACHED_MAX = 256
_WAITING_MAX = 1024
_INFER_RESPONSE = 2


class InferWork(Work):
    """One inference on its way through a model's queue."""

    __slots__ = ("_outlet", "answers", "call", "id", "layout", "model", "request_id")

    def __init__(self, call: Call, model: HostedModel, layout: Layout, outlet: "Outlet") -> None:
        self.call = call
        self.model = model
        self.layout = layout
        self.id = ""
        self.request_id = call.head.request_id
        self.rows = layout.rows
        self.row_shapes = layout.row_shapes
        self.priority = call.head.priority
        self.tenant = call.head.tenant
        self._outlet = outlet

    def complete(self, result: BatchResult, first_row: int) -> None:
        """Encode this request's rows."""
        if self.window is not None:
            self._outlet.end(self, answers_of(self.model).last(self.id))
            return
        answers = answers_of(self.model)
        message = answers.message(self.layout, result, first_row, self.id)
        throttled_us = result.throttled_us - self.throttled_from_us
        request_id = self.request_id or made_request_id()
        trailers = answers.trailers(result, self.arrived, throttled_us, request_id)
        self._outlet.answer(self, message, trailers)
        self.model.stats.request_seconds.record(perf_counter() - self.arrived)

    def piece(self, outputs: list[NDArray[Any]]) -> None:
        """Encode one piece of a streamed answer."""
        message = answers_of(self.model).piece(self.layout, outputs, self.id)
        self._outlet.piece(self, message)

    def fail(self, error: RequestError) -> None:
        """Tell the error."""
        self._outlet.fail(self, error)

    def cancel(self) -> None:
        """The client went away."""
        self.model.batcher.cancel(self)


def answers_of(model: HostedModel) -> Answers:
    """The writer of a model's answers, made once."""
    answers: Answers | None = model.memo.get("grpc")
    if answers is None:
        answers = model.memo["grpc"] = Answers(model)
    return answers


class Outlet:
    """Where a unary call's answer goes."""

    streams = False
    """Whether an answer may come in pieces."""

    def answer(self, work: InferWork, message: bytes, trailers: bytes) -> None:
        """Answer and end the call."""
        work.call.answer(message, trailers)

    def fail(self, work: InferWork, error: RequestError) -> None:
        """End the call with the error."""
        work.call.refuse(error)

    def piece(self, work: InferWork, message: bytes) -> None:
        """Take one piece of an answer; a unary call never asks for pieces."""
        raise NotImplementedError

    def end(self, work: InferWork, message: bytes) -> None:
        """The pieces are over."""
        raise NotImplementedError


_UNARY = Outlet()


class Inference:
    """Takes inference messages for all models."""

    def __init__(self, host: ModelHost) -> None:
        self._host = host
        self._request_s = host.config.timeouts.request_s
        self._layouts: dict[tuple[bytes, bytes], tuple[Layout, Plan]] = {}

    def unary(self, call: Call, message: bytes) -> None:
        """ModelInfer."""
        work = self.enter(call, message, call.received, _UNARY)
        call.on_cancel = work.cancel

    def stream(self, call: Call) -> "InferStream":
        """ModelStreamInfer."""
        return InferStream(self, call)

    def enter(self, call: Call, message: bytes, received: float, outlet: Outlet) -> InferWork:
        """Decode a message and queue it; raises RequestError."""
        model, layout, parts = self._layout(message)
        message = parts.message
        work = InferWork(call, model, layout, outlet)
        work.id = parts.request_id()
        try:
            if layout.typed:
                if parts.raw_at < len(message):
                    raise InvalidRequest("an input has both raw and typed values")
                work.parts = read_typed(message, layout, model.finite_only)
            else:
                work.parts = read_raw(message, parts.raw_at, layout, model.finite_only)
            timeout_s = self._request_s
            if call.head.timeout_s is not None and call.head.timeout_s < timeout_s:
                timeout_s = call.head.timeout_s
            if layout.envelope.parameters:
                timeout_s = _read_parameters(work, layout.envelope, timeout_s)
        except RequestError as error:
            model.misfit(error)
            raise
        window = Window() if outlet.streams and _yields(model) else None
        enter(work, model, received, timeout_s, window)
        return work

    def _layout(self, message: bytes) -> tuple[HostedModel, Layout, Split]:
        """Find model and layout; an envelope that was seen before is not read again."""
        parts = split(message)
        known = self._layouts.get(parts.key)
        if known is not None:
            layout, plan = known
            model = self._host.serving(layout.envelope.model, layout.envelope.version)
            if model.plan is plan:
                return model, layout, parts
        envelope = read_envelope(parts.message[: parts.raw_at])
        model = self._host.serving(envelope.model, envelope.version)
        plan = model.plan
        try:
            layout = layout_of(envelope, plan)
        except RequestError as error:
            model.misfit(error)
            raise
        if not layout.typed:
            if len(self._layouts) >= _LAYOUTS_CACHED_MAX:
                self._layouts.clear()
            self._layouts[parts.key] = (layout, plan)
        return model, layout, parts


class InferStream:
    """One ModelStreamInfer call: many requests, their answers in the order of the requests."""

    def __init__(self, inference: Inference, call: Call) -> None:
        self._inference = inference
        self._call = call
        self._waiting: deque[_Reply] = deque()
        self._ended = False

    def take(self, message: bytes) -> None:
        """Queue one request; what is wrong with it is answered in its place."""
        reply = _Reply(self)
        self._waiting.append(reply)
        try:
            if len(self._waiting) > _WAITING_MAX:
                raise Overloaded(f"more than {_WAITING_MAX} requests wait on this stream")
            reply.work = self._inference.enter(self._call, message, perf_counter(), reply)
        except RequestError as error:
            reply.settle(text(1, error.message))

    def end(self) -> None:
        """The client sends no more; the call ends with its last answer."""
        self._ended = True
        self.drain()

    def cancel(self) -> None:
        """The client went away."""
        waiting, self._waiting = self._waiting, deque()
        for reply in waiting:
            if reply.work is not None:
                reply.work.cancel()

    def drain(self) -> None:
        """Send every answer whose turn it is."""
        waiting = self._waiting
        while waiting:
            reply = waiting[0]
            for message in reply.messages:
                self._call.send(message)
                self._pay(reply)
            reply.messages.clear()
            if not reply.is_whole:
                break
            waiting.popleft()
        if self._ended and not waiting:
            self._call.finish()

    def _pay(self, reply: "_Reply") -> None:
        """Let the model yield on, once the client has room for what it yielded."""
        window = None if reply.work is None else reply.work.window
        if window is None:
            return
        if self._call.outgoing:
            self._call.on_room = [*(self._call.on_room or ()), window.leave]
        else:
            window.leave()


class _Reply(Outlet):
    """The place of one answer in a stream."""

    streams = True

    def __init__(self, stream: InferStream) -> None:
        self._stream = stream
        self.work: InferWork | None = None
        self.messages: list[bytes] = []
        self.is_whole = False

    def answer(self, _work: InferWork, message: bytes, _trailers: bytes) -> None:
        """Put the answer in its place."""
        self.settle(sized(_INFER_RESPONSE, message))

    def fail(self, work: InferWork, error: RequestError) -> None:
        """Put the error in its place, with the id of its request."""
        identity = sized(_INFER_RESPONSE, text(3, work.id)) if work.id else b""
        self.settle(text(1, error.message) + identity)

    def piece(self, work: InferWork, message: bytes) -> None:
        """Put one piece of the answer in its place."""
        self.work = work
        self.messages.append(sized(_INFER_RESPONSE, message))
        self._stream.drain()

    def end(self, work: InferWork, message: bytes) -> None:
        """Close the place; a client that asked for it is told so in a message."""
        if work.layout.envelope.parameters.get("triton_enable_empty_final_response") is True:
            self.settle(sized(_INFER_RESPONSE, message))
        else:
            self.is_whole = True
            self._stream.drain()

    def settle(self, message: bytes) -> None:
        """Fill the place."""
        self.messages.append(message)
        self.is_whole = True
        self._stream.drain()


def _yields(model: HostedModel) -> bool:
    return model.loaded is not None and model.loaded.call.streams


def _read_parameters(work: InferWork, envelope: Envelope, timeout_s: float) -> float:
    """Take the parameters that mean something here: priority, and timeout in microseconds."""
    priority = envelope.parameters.get("priority")
    if priority is not None:
        if type(priority) is not int or not 0 <= priority <= 9:
            raise InvalidRequest("parameter `priority` must be 0 (first) to 9 (last)")
        work.priority = priority
    timeout_us = envelope.parameters.get("timeout")
    if timeout_us is not None:
        if type(timeout_us) is not int or timeout_us < 0:
            raise InvalidRequest("parameter `timeout` must be a whole number of microseconds")
        if timeout_us:
            timeout_s = min(timeout_s, timeout_us / 1e6)
    return timeout_s
