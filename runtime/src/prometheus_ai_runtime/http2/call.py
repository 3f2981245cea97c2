"""One call on a connection: its messages in, its answer and status out."""

import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from prometheus_ai_runtime.errors import Overloaded, RequestError, TooLarge
from prometheus_ai_runtime.http2.status import STATUS_OK, Malformed, closing

PREFIX_BYTES = 5
_WBITS = {b"gzip": 31, b"deflate": 15}
_PRIORITY_USUAL = 5


class Receiver(Protocol):
    """Takes the messages of one streaming call."""

    def take(self, message: bytes) -> None:
        """Take the next message."""

    def end(self) -> None:
        """The client sends no more."""

    def cancel(self) -> None:
        """The client went away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """One method: ``unary`` gets the only message, ``stream`` makes a receiver for many."""

    unary: Callable[["Call", bytes], None] | None = None
    stream: Callable[["Call"], Receiver] | None = None


Methods = dict[bytes, Method]


@dataclass(slots=True)
class CallHead:
    """One kind of call; shared by every call that sends the same headers."""

    method: Method | None = None
    unary: "Callable[[Call, bytes], None] | None" = None
    """What takes the only message, when nothing stands in the way of calling it."""
    refusal: RequestError | None = None
    http_status: int = 200
    """Not 200 for what is no gRPC call at all."""
    timeout_s: float | None = None
    encoding: bytes = b"identity"
    request_id: bytes = b""
    tenant: str = ""
    priority: int = _PRIORITY_USUAL


class Line(Protocol):
    """Where a call's answer goes: its connection."""

    message_bytes_max: int

    def send_answer(self, call: "Call", message: bytes, trailers: bytes) -> None:
        """Send opening, message and trailers."""

    def send_message(self, call: "Call", message: bytes) -> None:
        """Send one message of several."""

    def send_closing(self, call: "Call", trailers: bytes) -> None:
        """Send the trailers and forget the call."""

    def reserve(self, size: int) -> bool:
        """Take a share of the budget for incomplete messages."""

    def release(self, size: int) -> None:
        """Give it back."""


class Call:
    """One HTTP/2 stream. ``over`` turns true with its status or when its client is gone."""

    __slots__ = (
        "_held",
        "_pieces",
        "_wanted",
        "began",
        "blocked_since",
        "head",
        "id",
        "line",
        "on_cancel",
        "on_room",
        "opened",
        "outgoing",
        "over",
        "received",
        "remote_done",
        "unacknowledged",
        "window",
    )

    def __init__(self, line: Line, stream_id: int, head: CallHead, now: float) -> None:
        self.line = line
        self.id = stream_id
        self.head = head
        self.received = now
        """When its first byte came."""
        self.began = now
        """When it last made progress in sending its message."""
        self.window = 0
        self.outgoing: deque[tuple[memoryview, bool]] | None = None
        """Bytes that wait for the client's window; true marks the trailers."""
        self.blocked_since = 0.0
        self.opened = False
        self.over = False
        self.remote_done = False
        self.unacknowledged = 0
        self.on_cancel: Callable[[], None] | None = None
        self.on_room: list[Callable[[], None]] | None = None
        """Called once when nothing waits for the client's window any more."""
        self._pieces: list[bytes] | None = None
        self._held = 0
        self._wanted = 0

    @property
    def incomplete(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._held > 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes of the stream; gives the messages that are now complete.

        Raises TooLarge, Overloaded or Malformed.
        """
        if self._pieces is not None:
            self._pieces.append(data)
            self._held += len(data)
            if self._held < self._wanted:
                return []
            data = b"".join(self._pieces)
            self._forget()
        messages = []
        position, end = 0, len(data)
        while end - position >= PREFIX_BYTES:
            length = int.from_bytes(data[position + 1 : position + PREFIX_BYTES])
            if length > self.line.message_bytes_max:
                raise TooLarge(
                    f"the message has {length} bytes, more than {self.line.message_bytes_max}"
                )
            stop = position + PREFIX_BYTES + length
            if stop > end:
                break
            messages.append(self._plain(data[position], data[position + PREFIX_BYTES : stop]))
            position = stop
        if position < end:
            self._hold(data[position:])
        return messages

    def answer(self, message: bytes, trailers: bytes = STATUS_OK) -> None:
        """Answer a unary call."""
        if not self.over:
            self.line.send_answer(self, message, trailers)

    def refuse(self, error: RequestError) -> None:
        """End the call with an error."""
        self.finish(closing(error))

    def send(self, message: bytes) -> None:
        """Send one message of a streaming call."""
        if not self.over:
            self.line.send_message(self, message)

    def finish(self, trailers: bytes = STATUS_OK) -> None:
        """End the call."""
        if not self.over:
            self.line.send_closing(self, trailers)

    def abandon(self) -> None:
        """The client is gone: stop the work and give everything back."""
        self.end()
        if self.on_cancel is not None:
            on_cancel, self.on_cancel = self.on_cancel, None
            on_cancel()

    def end(self) -> None:
        """No more is sent or taken."""
        self.over = True
        self._forget()

    def _hold(self, rest: bytes) -> None:
        wanted = PREFIX_BYTES
        if len(rest) >= PREFIX_BYTES:
            wanted += int.from_bytes(rest[1:PREFIX_BYTES])
        if not self.line.reserve(wanted):
            raise Overloaded("too many unfinished messages; try again in 1 s", retry_after_s=1)
        self._pieces, self._held, self._wanted = [rest], len(rest), wanted

    def _forget(self) -> None:
        if self._wanted:
            self.line.release(self._wanted)
            self._pieces, self._held, self._wanted = None, 0, 0

    def _plain(self, compressed: int, message: bytes) -> bytes:
        if not compressed:
            return message
        wbits = _WBITS.get(self.head.encoding)
        if compressed != 1 or wbits is None:
            raise Malformed("a compressed message without a grpc-encoding")
        limit = self.line.message_bytes_max
        inflate = zlib.decompressobj(wbits)
        try:
            plain = inflate.decompress(message, limit + 1)
        except zlib.error as error:
            raise Malformed(f"the message cannot be decompressed: {error}") from None
        if len(plain) > limit:
            raise TooLarge(f"the message has more than {limit} bytes when decompressed")
        if not inflate.eof:
            raise Malformed("the compressed message is cut short")
        return plain
