"""One client connection: bytes to exchanges, answers in order, bounds and timeouts."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import cast

from prometheus_ai_runtime.http.answers import CONTINUE, error_body, response
from prometheus_ai_runtime.http.body_reader import LARGE_BYTES, BodyReader
from prometheus_ai_runtime.http.chunked import BadChunk, ChunkedBody
from prometheus_ai_runtime.http.door import Door
from prometheus_ai_runtime.http.exchange import Exchange
from prometheus_ai_runtime.http.head import BadHead, Head, Stencil
from prometheus_ai_runtime.tensors.shortcut import AFTER_VALUES

_HEAD, _BODY, _CHUNKED, _DEAF = range(4)
_LINGER_S = 1.0
_END = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """HTTP/1.1 on one socket. Requests may be pipelined; answers leave in the order of requests."""

    __slots__ = (
        "_again",
        "_body",
        "_body_left",
        "_buffer",
        "_chunks",
        "_door",
        "_exchanges",
        "_head",
        "_reads_large",
        "_reserved",
        "_same",
        "_same_head",
        "_since",
        "_state",
        "_stencil",
        "_transport",
        "_usual",
        "_usual_bytes",
        "_usual_start",
        "_usual_stencil",
        "_usual_values_at",
        "_writable",
        "_write",
        "first_byte_at",
    )

    def __init__(self, door: Door) -> None:
        self._door = door
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._state = _HEAD
        self._buffer = b""
        self._head: Head | None = None
        self._body: list[bytes] = []
        self._body_left = 0
        self._chunks: ChunkedBody | None = None
        self._same = _END
        """The last head that came whole and was known, as it came; no request begins with its end."""
        self._same_head: Head | None = None
        self._stencil: Stencil | None = None
        """Fits the last head that came whole and was known but for values that differ each time."""
        self._exchanges: deque[Exchange] = deque()
        self._again: Exchange | None = None
        """The usual exchange once it is answered, if nothing else is under way."""
        self._usual: Exchange | None = None
        """The last exchange whose like may follow; another one differs from it in values alone."""
        self._usual_start = b""
        """What its request began with: the head, and the body up to the values, as far as both stay."""
        self._usual_stencil: Stencil | None = None
        """Fits that beginning, where there is something in it that does not stay."""
        self._usual_values_at = 0
        self._usual_bytes = 0
        """How long its request was."""
        self._write: Callable[[bytes], None] = _unconnected
        self._reads_large = False
        """Whether the last head is expected again, with a body to be received in place."""
        self._reserved = 0
        self._since = self.first_byte_at = perf_counter()
        self._writable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the door for a place; without one, answer 503 and end."""
        self._transport = cast(asyncio.Transport, transport)
        self._write = self._transport.write
        if not self._door.admit(self):
            self._transport.write(
                response(
                    503,
                    error_body("too many connections"),
                    headers=[(b"retry-after", b"1"), (b"connection", b"close")],
                )
            )
            self._go_deaf()

    def connection_lost(self, _error: Exception | None) -> None:
        """Cancel what the client no longer waits for."""
        self._door.leave(self)
        self._release()
        self._state = _DEAF
        for exchange in self._exchanges:
            # What was refused is answered, and in no queue.
            if not exchange.answered and exchange.work_owner is not None:
                exchange.work_owner.cancel(exchange)
            exchange.answered = True
        self._exchanges.clear()
        # It holds this connection; neither is to wait for the collector of circles.
        self._usual = self._again = None

    def data_received(self, data: bytes) -> None:
        """Take bytes; one whole request with a known head takes the short way."""
        door = self._door
        door.bytes_seen_at = now = perf_counter()
        usual = self._again
        if self._reads_large:
            self._read_usually()
        if usual is not None:
            self._again = None
            stencil = self._usual_stencil
            if (
                len(data) == self._usual_bytes
                and data.startswith(self._usual_start)
                and data.endswith(AFTER_VALUES)
                and not door.draining
                and (stencil is None or stencil.fits(data))
            ):
                self._since = now
                if stencil is not None:
                    usual.request_id = stencil.request_id(data)
                if usual.repeater.begin_again(usual, data[self._usual_values_at : -3], now):
                    self._exchanges.append(usual)
                    return
        if self._state == _HEAD and not self._buffer:
            self.first_byte_at = self._since = now
            stencil = None
            if data.startswith(self._same):
                head, body = self._same_head, data[len(self._same) :]
            elif self._stencil is not None and self._stencil.fits(data):
                stencil = self._stencil
                head, body = stencil.head, data[stencil.size :]
            else:
                raw, end, body = data.partition(_END)
                head = door.heads.get(raw)
                if head is not None:
                    self._same, self._same_head = raw + _END, head
                elif end:
                    stencil = door.stencil(raw + end)
                    if stencil is not None:
                        self._stencil, head = stencil, stencil.head
            if head is not None and len(body) == head.content_length:
                self._take_whole(head, data, body, stencil)
                return
        self._feed(data, now)

    def _take_whole(self, head: Head, data: bytes, body: bytes, stencil: Stencil | None) -> None:
        """Take a request that came whole, with a known head."""
        door, exchanges = self._door, self._exchanges
        request_id = b"" if stencil is None else stencil.request_id(data)
        if not head.ordinary or exchanges or door.draining or not door.pipelines:
            self._dispatch(head, body, request_id)
            return
        exchange = Exchange(self, head, self._since, body)
        exchange.request_id = request_id
        exchanges.append(exchange)
        door.run(exchange)
        if exchange.values_at:
            values_at = len(data) - len(body) + exchange.values_at
            self._usual = exchange
            self._usual_bytes, self._usual_values_at = len(data), values_at
            if stencil is None:
                self._usual_stencil, self._usual_start = None, data[:values_at]
            else:
                self._usual_stencil = stencil.with_further(data[stencil.size : values_at])
                self._usual_start = stencil.start

    def eof_received(self) -> bool:
        """Take the client's end as its leaving: a half-closed client cannot be told from a gone one."""
        return False

    def pause_writing(self) -> None:
        """Read no more while the client does not read."""
        self._writable = False
        self._since = perf_counter()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self._writable = True
        for exchange in self._exchanges:
            exchange.pay_back()
        if self._state != _DEAF and len(self._exchanges) < self._door.limits.pipelined_max:
            self._transport.resume_reading()

    def deliver(self, exchange: Exchange, data: bytes) -> None:
        """Send an answer, after those of earlier requests."""
        if exchange.answered:
            return
        exchange.answered = True
        exchanges = self._exchanges
        if len(exchanges) == 1:
            exchanges.clear()
            self._transport.write(data)
            if exchange.close_after:
                self._close()
            return
        exchange.pending_answer += (data,)
        self._advance()

    def deliver_usual(self, exchange: Exchange, data: bytes) -> None:
        """Send the answer of an exchange that may be used again."""
        exchange.answered = True
        exchanges = self._exchanges
        if len(exchanges) == 1:
            exchanges.clear()
            self._write(data)
            if exchange is self._usual and self._state == _HEAD and not self._buffer:
                self._again = exchange
            return
        exchange.pending_answer += (data,)
        self._advance()

    def deliver_part(self, exchange: Exchange, data: bytes, last: bool) -> None:
        """Send a part of an answer."""
        if exchange.answered:
            return
        exchange.answered = last
        exchange.pending_answer += (data,)
        self._advance()

    @property
    def writable(self) -> bool:
        """Whether the client keeps up with what is written."""
        return self._writable

    def _advance(self) -> None:
        """Write what the first exchanges have ready; answers never overtake each other."""
        exchanges = self._exchanges
        while exchanges:
            first = exchanges[0]
            if first.pending_answer:
                self._transport.write(b"".join(first.pending_answer))
                first.pending_answer = ()
            if not first.answered:
                break
            exchanges.popleft()
            if first.close_after:
                self._close()
                return
        if self._writable and len(exchanges) < self._door.limits.pipelined_max:
            self._transport.resume_reading()

    def tick(self, now: float) -> None:
        """Enforce the timeouts; called a few times a second."""
        timeouts = self._door.timeouts
        if self._exchanges and self._state == _HEAD and self._writable:
            # Idle time counts from the last answer, not from its request.
            self._since = now
        age_s = now - self._since
        if self._state == _DEAF:
            if not self._exchanges and age_s > _LINGER_S:
                self._transport.close()
        elif not self._writable:
            if age_s > timeouts.body_s:
                self._transport.abort()
        elif self._state == _HEAD and self._buffer:
            if now - self.first_byte_at > timeouts.head_s:
                self._refuse(408, f"the request head took longer than {timeouts.head_s:g} s")
        elif self._state != _HEAD:
            if age_s > timeouts.body_s:
                self._refuse(408, f"the request body took longer than {timeouts.body_s:g} s")
        elif not self._exchanges and age_s > timeouts.idle_s:
            self._transport.close()

    def close_idle(self) -> bool:
        """Close if nothing is under way, for draining; says whether it was idle."""
        if self._exchanges or self._buffer or self._state in (_BODY, _CHUNKED):
            return False
        self._transport.close()
        return True

    def _feed(self, data: bytes, now: float) -> None:
        while data and self._state != _DEAF:
            if self._state == _HEAD:
                data = self._feed_head(data, now)
            elif self._state == _BODY:
                data = self._feed_body(data)
            else:
                data = self._feed_chunks(data)

    def _feed_head(self, data: bytes, now: float) -> bytes:
        if not self._buffer:
            # Empty lines before a request are to be ignored.
            data = data.lstrip(b"\r\n")
            if not data:
                return b""
            self.first_byte_at = now
        data = self._buffer + data
        self._buffer = b""
        end = data.find(_END)
        if end < 0 or end > self._door.limits.head_bytes_max:
            if len(data) > self._door.limits.head_bytes_max:
                limit = self._door.limits.head_bytes_max
                self._refuse(431, f"the request head is larger than {limit} bytes")
                return b""
            self._buffer = data
            return b""
        raw = data[:end]
        head = self._door.heads.get(raw)
        if head is None:
            try:
                head = self._door.head_cache.parse(raw)
            except BadHead as error:
                self._refuse(error.status, error.message)
                return b""
        self._begin_body(head, now, len(data) > end + 4)
        return data[end + 4 :]

    def _begin_body(self, head: Head, now: float, more: bool) -> None:
        limit = self._door.limits.request_bytes_max
        if head.content_length > limit:
            self._refuse(413, f"the request body is larger than {limit} bytes")
            return
        if not head.chunked and not head.content_length:
            self._dispatch(head, b"")
            return
        if not self._reserve(head.content_length):
            return
        self._head = head
        self._since = now
        # Out of turn it would precede an earlier answer; the client then sends after a wait.
        if head.expects_continue and not more and not self._exchanges:
            self._transport.write(CONTINUE)
        if head.chunked:
            self._state = _CHUNKED
            self._chunks = ChunkedBody()
        else:
            self._state = _BODY
            self._body_left = head.content_length

    def _feed_body(self, data: bytes) -> bytes:
        piece = data if len(data) <= self._body_left else data[: self._body_left]
        self._body.append(piece)
        self._body_left -= len(piece)
        if self._body_left >= LARGE_BYTES:
            self._read_large()
            return b""
        if self._body_left:
            return b""
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._finish_body(body)
        return data[len(piece) :]

    def _read_large(self) -> None:
        head, first = self._head, self._body
        assert head is not None, "a body follows a head"
        self._body = []
        comes_again = self._same if head is self._same_head else b""
        self._read_as(
            BodyReader(
                self,
                head.content_length,
                first,
                binary_at=head.json_bytes or 0,
                head=comes_again,
            )
        )
        self._reads_large = bool(comes_again)

    def _read_as(self, protocol: asyncio.BaseProtocol) -> None:
        # The transport decides how to read when it starts reading.
        self._transport.pause_reading()
        self._transport.set_protocol(protocol)
        if self._writable:
            self._transport.resume_reading()

    def large_body_begins(self) -> bool:
        """Take the same head again, with a body that is received in place."""
        head = self._same_head
        assert head is not None, "it came before"
        if self._state == _HEAD:
            self._door.bytes_seen_at = self.first_byte_at = perf_counter()
            self._begin_body(head, self.first_byte_at, more=True)
        if self._state != _BODY:
            self._read_usually()
        return self._state == _BODY

    def large_body_done(self, body: memoryview) -> None:
        """Take a body that was received in place, and expect another or read in the usual way again."""
        if not self._reads_large or self._state != _BODY:
            self._read_usually()
        if self._state == _BODY:
            self._finish_body(body)

    def _read_usually(self) -> None:
        self._reads_large = False
        self._read_as(self)

    def _feed_chunks(self, data: bytes) -> bytes:
        chunks = self._chunks
        assert chunks is not None, "set with the state"
        limit = self._door.limits.request_bytes_max
        try:
            chunks.feed(data, limit)
        except BadChunk as error:
            self._refuse(400, f"malformed HTTP: {error}")
            return b""
        except OverflowError:
            self._refuse(413, f"the request body is larger than {limit} bytes")
            return b""
        if not self._reserve(chunks.size - self._reserved):
            return b""
        if not chunks.done:
            return b""
        rest = chunks.rest
        self._finish_body(chunks.body())
        return rest

    def _finish_body(self, body: bytes | memoryview) -> None:
        head = self._head
        assert head is not None, "a body follows a head"
        self._head = None
        self._body = []
        self._chunks = None
        self._state = _HEAD
        self._release()
        self._dispatch(head, body)

    def _dispatch(self, head: Head, body: bytes | memoryview, request_id: bytes = b"") -> None:
        door = self._door
        exchange = Exchange(self, head, self.first_byte_at, body)
        exchange.request_id = request_id or head.request_id
        if door.draining:
            exchange.close_after = True
        self._exchanges.append(exchange)
        if exchange.close_after:
            # Whatever the client sends after this is not part of the conversation.
            self._state = _DEAF
        if len(self._exchanges) >= door.limits.pipelined_max:
            self._transport.pause_reading()
        door.handle(exchange)

    def _reserve(self, size: int) -> bool:
        """Bodies under way share one budget, so that many connections cannot add up to a flood."""
        if size > 0 and not self._door.reserve(size):
            self._refuse(503, "too many request bodies are under way; try again in 1 s")
            return False
        self._reserved += max(0, size)
        return True

    def _release(self) -> None:
        self._door.release(self._reserved)
        self._reserved = 0

    def _refuse(self, status: int, message: str) -> None:
        """Answer a request that could not be framed, after those before it, and close."""
        head = Head()
        head.keep_alive = False
        exchange = Exchange(self, head, self.first_byte_at, b"")
        self._exchanges.append(exchange)
        self._buffer = b""
        self._body = []
        self._chunks = None
        self._state = _DEAF
        self._release()
        self._door.refused(status)
        headers = [(b"retry-after", b"1")] if status == 503 else []
        exchange.answer(status, error_body(message), headers=headers)

    def _close(self) -> None:
        self._exchanges.clear()
        self._go_deaf()

    def _go_deaf(self) -> None:
        """Send what is written, then close once the client has had time to read it.

        Closing with unread input would reset the connection and take the answer with it.
        """
        self._state = _DEAF
        self._since = perf_counter()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()


def _unconnected(_data: bytes) -> None:
    raise AssertionError("a transport comes before its bytes")
