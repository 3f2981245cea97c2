"""One request and its one answer on a connection."""

from collections.abc import Callable, Iterable
from itertools import count
from os import urandom
from typing import Any, Protocol

from numpy.typing import NDArray

from prometheus_ai_runtime.batching.work import BatchResult, Crowd, Work
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
ID_PREFIX = urandom(6).hex().encode()
next_number = count(1).__next__


def made_request_id() -> bytes:
    """A request id for a request that brought none."""
    return b"%b-%x" % (ID_PREFIX, next_number())


class Outlet(Protocol):
    """Where an exchange's answer goes: its connection."""

    def deliver(self, exchange: "Exchange", data: bytes) -> None:
        """Send the whole answer when the answers before it are out."""

    def deliver_usual(self, exchange: "Exchange", data: bytes) -> None:
        """As ``deliver``, of an exchange that nobody but the connection holds from now on."""

    def deliver_part(self, exchange: "Exchange", data: bytes, last: bool) -> None:
        """Send a part of the answer when the answers before it are out."""

    @property
    def writable(self) -> bool:
        """Whether the client keeps up with what is written."""


class Exchange(Work):
    """One request; ``answered`` turns true with its answer or when its client is gone."""

    __slots__ = (
        "answered",
        "body",
        "close_after",
        "crowd",
        "decoded",
        "head",
        "outlet",
        "pack",
        "pending_answer",
        "received",
        "repeater",
        "request_id",
        "responder",
        "timeout_s",
        "values_at",
        "withheld",
        "work_owner",
    )

    decoded: Decoded
    responder: "Responder"
    repeater: "Repeater"
    """What begins this exchange again with other values; set together with ``values_at``."""
    pack: Callable[..., bytes]
    """Packs the values of the one row that the request holds; set together with ``values_at``."""

    def __init__(
        self, outlet: Outlet, head: Head, received: float, body: bytes | memoryview
    ) -> None:
        self.outlet = outlet
        self.head = head
        self.request_id = head.request_id
        """What the request is called by whoever sent it; empty if it brought no id."""
        self.received = received
        self.body = body
        self.answered = False
        self.priority = 5
        self.tenant = ""
        self.timeout_s: float | None = None
        self.close_after = not head.keep_alive
        self.pending_answer: tuple[bytes, ...] = ()
        self.crowd: Crowd | None = None
        self.values_at = 0
        """Where the values begin in a body that may come again with others; 0 in any other."""
        self.withheld = 0
        """Pieces written while the client did not keep up, to be paid back to the window."""
        self.work_owner: WorkOwner | None = None
        """The queue that holds this request's work, to be told when the client goes away."""

    def answer(
        self, status: int, body: bytes, content_type: bytes = JSON, headers: Iterable[Header] = ()
    ) -> None:
        """Answer in full."""
        request_id = self.request_id or made_request_id()
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

    def piece(self, outputs: list[NDArray[Any]]) -> None:
        """Send one piece of a streamed answer."""
        self.responder.piece(self, outputs)
        if self.outlet.writable:
            self.window.leave()
        else:
            self.withheld += 1

    def pay_back(self) -> None:
        """Let the model go on after the client caught up."""
        withheld, self.withheld = self.withheld, 0
        for _ in range(withheld):
            self.window.leave()

    def fail(self, error: RequestError) -> None:
        """Answer with the error that the queue or the engine gave."""
        self.responder.fail(self, error)


class Responder(Protocol):
    """How one model's results are written for one kind of request."""

    def __call__(self, exchange: Exchange, result: BatchResult, first_row: int) -> None:
        """Encode and deliver the answer, or the end of a streamed one."""

    def piece(self, exchange: Exchange, outputs: list[NDArray[Any]]) -> None:
        """Encode and deliver one piece of a streamed answer."""

    def fail(self, exchange: Exchange, error: RequestError) -> None:
        """Deliver the error."""


class Repeater(Protocol):
    """Takes an exchange that has been answered for another request."""

    def begin_again(self, exchange: Exchange, values: bytes, now: float) -> bool:
        """Queue it with the values of a JSON array; false: read the request in full."""


class WorkOwner(Protocol):
    """A queue that can be told to give work up."""

    def cancel(self, work: Work) -> None:
        """Give the work up if it has not been answered."""
