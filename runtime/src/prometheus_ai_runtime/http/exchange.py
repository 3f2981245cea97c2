"""One request and its one answer on a connection."""

from collections.abc import Iterable
from itertools import count
from os import urandom
from typing import Protocol

from prometheus_ai_runtime.batching.work import BatchResult, Work
from prometheus_ai_runtime.errors import RequestError
from prometheus_ai_runtime.http.answers import (
    JSON,
    STATUS_OF,
    Header,
    error_body,
    error_headers,
    response,
)
from prometheus_ai_runtime.http.head import Head
from prometheus_ai_runtime.tensors.decode import Decoded

# Made request ids: a random prefix per process, then a counter; unique without a system call each.
_ID_PREFIX = urandom(6).hex().encode()
_next_number = count(1).__next__


def made_request_id() -> bytes:
    """A request id for a request that brought none."""
    return b"%b-%x" % (_ID_PREFIX, _next_number())


class Outlet(Protocol):
    """Where an exchange's answer goes: its connection."""

    def deliver(self, exchange: "Exchange", data: bytes) -> None:
        """Send the whole answer when the answers before it are out."""


class Exchange(Work):
    """One request; ``answered`` turns true with its answer or when its client is gone."""

    __slots__ = (
        "answered",
        "body",
        "close_after",
        "decoded",
        "head",
        "outlet",
        "pending_answer",
        "received",
        "responder",
        "timeout_s",
        "work_owner",
    )

    decoded: Decoded
    responder: "Responder"

    def __init__(self, outlet: Outlet, head: Head, received: float, body: bytes) -> None:
        self.outlet = outlet
        self.head = head
        self.received = received
        self.body = body
        self.answered = False
        self.priority = 5
        self.tenant = ""
        self.timeout_s: float | None = None
        self.close_after = not head.keep_alive
        self.pending_answer: bytes | None = None
        self.work_owner: WorkOwner | None = None
        """The queue that holds this request's work, to be told when the client goes away."""

    def answer(
        self, status: int, body: bytes, content_type: bytes = JSON, headers: Iterable[Header] = ()
    ) -> None:
        """Answer in full."""
        request_id = self.head.request_id or made_request_id()
        lines = [*headers, (b"x-request-id", request_id)]
        if self.close_after:
            lines.append((b"connection", b"close"))
        elif self.head.connection:
            lines.append((b"connection", b"keep-alive"))
        data = response(status, body, content_type, lines)
        if self.head.method == b"HEAD":
            data = data[: data.index(b"\r\n\r\n") + 4]
        self.outlet.deliver(self, data)

    def refuse(self, error: RequestError) -> None:
        """Answer with an error."""
        self.answer(STATUS_OF[error.code], error_body(error.message), headers=error_headers(error))

    def complete(self, result: BatchResult, first_row: int) -> None:
        """Answer with this request's rows of the batch."""
        self.responder(self, result, first_row)

    def fail(self, error: RequestError) -> None:
        """Answer with the error that the queue or the engine gave."""
        self.refuse(error)


class Responder(Protocol):
    """How one model's results are written for one kind of request."""

    def __call__(self, exchange: Exchange, result: BatchResult, first_row: int) -> None:
        """Encode and deliver the answer."""


class WorkOwner(Protocol):
    """A queue that can be told to give work up."""

    def cancel(self, work: Work) -> None:
        """Give the work up if it has not been answered."""
