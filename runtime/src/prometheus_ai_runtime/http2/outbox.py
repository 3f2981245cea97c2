"""What leaves on one connection: answers as frames, within the client's windows."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import cast

from prometheus_ai_runtime.http2 import frames
from prometheus_ai_runtime.http2.call import PREFIX_BYTES, Call
from prometheus_ai_runtime.http2.frames import ConnectionFault
from prometheus_ai_runtime.http2.lobby import Lobby
from prometheus_ai_runtime.http2.status import OPENING

_CLOSING_FLAGS = frames.END_HEADERS | frames.END_STREAM
# Frame heads but for the stream id, and where it varies, the length.
_OPENING_HEAD = frames.head(frames.HEADERS, frames.END_HEADERS, 0, len(OPENING))[:5]
_DATA_HEAD = bytes((frames.DATA, 0))
_CLOSING_HEAD = bytes((frames.HEADERS, _CLOSING_FLAGS))


class Outbox:
    """Writes frames; what a window has no room for waits with its call."""

    def __init__(self, lobby: Lobby, done: Callable[[Call], None]) -> None:
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.window = frames.WINDOW_DEFAULT
        self.frame_bytes_max = frames.FRAME_BYTES_DEFAULT
        self.message_bytes_max = lobby.limits.request_bytes_max
        self.reserve = lobby.reserve
        self.release = lobby.release
        self._done = done

    def send_answer(self, call: Call, message: bytes, trailers: bytes) -> None:
        """Send opening, message and trailers, in one write where the windows allow."""
        size = len(message) + PREFIX_BYTES
        if size > self.window or size > call.window or size > self.frame_bytes_max:
            self.send_message(call, message)
            self.send_closing(call, trailers)
            return
        self.window -= size
        call.window -= size
        stream_id = call.id.to_bytes(4)
        self.transport.write(
            b"".join(
                (
                    _OPENING_HEAD,
                    stream_id,
                    OPENING,
                    size.to_bytes(3),
                    _DATA_HEAD,
                    stream_id,
                    b"\0",
                    len(message).to_bytes(4),
                    message,
                    len(trailers).to_bytes(3),
                    _CLOSING_HEAD,
                    stream_id,
                    trailers,
                )
            )
        )
        call.end()
        self._done(call)

    def send_message(self, call: Call, message: bytes) -> None:
        """Send one message; the opening goes before the first."""
        if not call.opened:
            call.opened = True
            self.transport.write(frames.frame(frames.HEADERS, frames.END_HEADERS, call.id, OPENING))
        if call.outgoing is None:
            call.outgoing = deque()
        whole = b"\0" + len(message).to_bytes(4) + message
        call.outgoing.append((memoryview(whole), False))
        self._flush(call)

    def send_closing(self, call: Call, trailers: bytes) -> None:
        """Send the trailers after what waits before them."""
        call.end()
        if call.outgoing is None:
            call.outgoing = deque()
        block = trailers if call.opened else OPENING + trailers
        call.outgoing.append((memoryview(block), True))
        self._flush(call)

    def widen(self, size: int) -> None:
        """The client takes more on the connection."""
        self.window += size
        if self.window > frames.WINDOW_MAX:
            raise ConnectionFault(frames.FLOW_CONTROL_ERROR, "a window out of range")

    def flush(self, calls: Iterable[Call]) -> None:
        """Send what waits, as far as the windows allow."""
        for call in [each for each in calls if each.outgoing]:
            self._flush(call)

    def _flush(self, call: Call) -> None:
        outgoing = call.outgoing
        while outgoing:
            data, is_closing = outgoing[0]
            if is_closing:
                outgoing.popleft()
                self.transport.write(frames.frame(frames.HEADERS, _CLOSING_FLAGS, call.id, data))
                self._done(call)
                return
            room = min(self.window, call.window)
            if room <= 0:
                call.blocked_since = call.blocked_since or perf_counter()
                return
            piece = data[: min(room, self.frame_bytes_max)]
            self.window -= len(piece)
            call.window -= len(piece)
            call.blocked_since = perf_counter()
            self.transport.write(frames.frame(frames.DATA, 0, call.id, piece))
            if len(piece) == len(data):
                outgoing.popleft()
            else:
                outgoing[0] = (data[len(piece) :], False)
        call.blocked_since = 0.0
        if call.on_room:
            waiting, call.on_room = call.on_room, None
            for has_room in waiting:
                has_room()
