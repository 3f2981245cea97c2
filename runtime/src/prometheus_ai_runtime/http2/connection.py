"""One client connection: HTTP/2 frames to calls, answers within the client's windows, bounds."""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import cast

from prometheus_ai_runtime.errors import DeadlinePassed, RequestError
from prometheus_ai_runtime.http2 import frames
from prometheus_ai_runtime.http2.call import PREFIX_BYTES, Call, CallHead, Receiver
from prometheus_ai_runtime.http2.frames import ConnectionFault
from prometheus_ai_runtime.http2.head import read_head
from prometheus_ai_runtime.http2.hpack import BadHeaders, Decoder, literal
from prometheus_ai_runtime.http2.lobby import Lobby
from prometheus_ai_runtime.http2.offer import (
    CALLS_MAX,
    CONNECTION_WINDOW_BYTES,
    FRAME_BYTES_MAX,
    WINDOW_SLACK_BYTES,
    greeting,
)
from prometheus_ai_runtime.http2.outbox import Outbox
from prometheus_ai_runtime.http2.payloads import unpadded, whole_message
from prometheus_ai_runtime.http2.status import Malformed, Unimplemented
from prometheus_ai_runtime.log import log

_CONTROL_FRAMES_MAX = 2000
"""Frames between two ticks that carry no call: pings, settings, resets, empty pieces."""
_CONTROL_FRAMES_A_CALL = 2
"""How many of them each call may bring."""
_HEADS_CACHED_MAX = 64
_IDLE_S = 300.0
_LINGER_S = 1.0


class Connection(asyncio.Protocol):
    """HTTP/2 with prior knowledge on one socket."""

    def __init__(self, lobby: Lobby) -> None:
        self._lobby = lobby
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._outbox = Outbox(lobby, self._done)
        self._buffer = b""
        self._greeted = False
        self._calls: dict[int, Call] = {}
        self._receivers: dict[int, Receiver] = {}
        self._last_id = 0
        """The last call that was taken; refused ones after it may be tried elsewhere."""
        self._seen_id = 0
        self._decoder = Decoder(lobby.limits.head_bytes_max)
        self._heads: dict[bytes, CallHead] = {}
        self._block: tuple[int, int, bytearray] | None = None
        self._window_of_calls = frames.WINDOW_DEFAULT
        self._unacknowledged = 0
        self._control_frames = 0
        self._going_away = False
        self._deaf = False
        self._writable = True
        self._since = perf_counter()
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            frames.DATA: self._on_data,
            frames.HEADERS: self._on_headers,
            frames.PRIORITY: self._on_priority,
            frames.RST_STREAM: self._on_reset,
            frames.SETTINGS: self._on_settings,
            frames.PUSH_PROMISE: self._on_push,
            frames.PING: self._on_ping,
            frames.GOAWAY: self._on_goaway,
            frames.WINDOW_UPDATE: self._on_window_update,
        }

    # -- the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the lobby for a place and say what this server takes."""
        self._transport = cast(asyncio.Transport, transport)
        if not self._lobby.admit(self):
            self._deaf = True
            self._transport.write(
                frames.settings({}) + frames.goaway(0, frames.ENHANCE_YOUR_CALM, "too many clients")
            )
            self._transport.close()
            return
        self._outbox.transport = self._transport
        self._transport.write(greeting(self._lobby.limits))

    def connection_lost(self, _error: Exception | None) -> None:
        """Cancel what the client no longer waits for."""
        self._deaf = True
        self._lobby.leave(self)
        for call in list(self._calls.values()):
            self._drop(call)

    def pause_writing(self) -> None:
        """Read no more while the client does not read."""
        self._writable = False
        self._since = perf_counter()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self._writable = True
        self._since = perf_counter()
        if not self._deaf:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take bytes and handle every whole frame in them."""
        if self._deaf:
            return
        self._since = perf_counter()
        if self._buffer:
            data = self._buffer + data
        try:
            self._buffer = self._frames(data)
        except ConnectionFault as fault:
            self._fail(fault)
        except Exception as fault:  # noqa: BLE001 - one client must not end the others
            log("grpc_fault", "error", error=f"{type(fault).__name__}: {fault}")
            self._fail(ConnectionFault(frames.INTERNAL_ERROR, "a fault of the server"))

    def _frames(self, data: bytes) -> bytes:
        position, end = 0, len(data)
        if not self._greeted:
            preface = frames.PREFACE
            if data[: len(preface)] != preface[:end]:
                raise ConnectionFault(frames.PROTOCOL_ERROR, "gRPC needs HTTP/2 without TLS here")
            if end < len(preface):
                return data
            self._greeted = True
            position = len(preface)
        handlers = self._handlers
        read = frames.read_head
        while end - position >= frames.HEAD_BYTES:
            high, low, kind, flags, stream_id = read(data, position)
            length = high << 16 | low
            if length > FRAME_BYTES_MAX:
                raise ConnectionFault(frames.FRAME_SIZE_ERROR, "a frame larger than announced")
            begin = position + frames.HEAD_BYTES
            if end - begin < length:
                break
            position = begin + length
            payload = data[begin:position]
            if flags == frames.END_HEADERS and kind == frames.HEADERS:
                taken = self._whole_call(stream_id, payload, data, position)
                if taken:
                    position = taken
                    continue
            if self._block is not None or kind == frames.CONTINUATION:
                self._on_continuation(kind, flags, stream_id & frames.STREAM_ID_MAX, payload)
                continue
            handler = handlers.get(kind)
            if handler is not None:
                handler(flags, stream_id & frames.STREAM_ID_MAX, payload)
            if self._deaf:
                return b""
        return data[position:]

    # -- frames of calls

    def _whole_call(self, stream_id: int, block: bytes, data: bytes, position: int) -> int:
        """Take a unary call whose headers are known and whose only message follows at once.

        Gives the position after it, or 0 to let the long way decide. Nearly every call is like this.
        """
        head = self._heads.get(block)
        if head is None or head.unary is None or self._block is not None:
            return 0
        begin = position + frames.HEAD_BYTES + PREFIX_BYTES
        end = whole_message(data, position, stream_id, self._outbox.message_bytes_max)
        is_next = stream_id > self._seen_id and stream_id & 1 and not self._going_away
        if not end or not is_next or len(self._calls) >= CALLS_MAX:
            return 0
        self._last_id = self._seen_id = stream_id
        self._control_frames -= _CONTROL_FRAMES_A_CALL
        call = self._calls[stream_id] = Call(self._outbox, stream_id, head, self._since)
        call.window = self._window_of_calls
        call.remote_done = True
        self._widen(end - position - frames.HEAD_BYTES)
        try:
            head.unary(call, data[begin:end])
        except RequestError as error:
            call.refuse(error)
        except Exception as fault:  # noqa: BLE001 - one call must not end the connection
            self._refuse_fault(call, fault)
        return end

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & (frames.PADDED | frames.PRIORITISED):
            payload = unpadded(payload, flags)
        if not flags & frames.END_HEADERS:
            self._block = (stream_id, flags, bytearray(payload))
            return
        self._open(stream_id, flags, payload)

    def _on_continuation(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is None or kind != frames.CONTINUATION or stream_id != self._block[0]:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "headers were interrupted")
        self._count_control()
        _, first_flags, block = self._block
        block += payload
        if len(block) > self._lobby.limits.head_bytes_max:
            raise ConnectionFault(frames.ENHANCE_YOUR_CALM, "a header block too large")
        if flags & frames.END_HEADERS:
            self._block = None
            self._open(stream_id, first_flags, bytes(block))

    def _open(self, stream_id: int, flags: int, block: bytes) -> None:
        head = self._heads.get(block)
        if stream_id <= self._seen_id:
            self._on_trailers(stream_id, flags, block)
            return
        if not stream_id & 1:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a stream id that is not a client's")
        if head is None:
            head = self._read(block)
        self._seen_id = stream_id
        if self._going_away or len(self._calls) >= CALLS_MAX:
            self._transport.write(frames.reset(stream_id, frames.REFUSED_STREAM))
            return
        self._last_id = stream_id
        self._control_frames -= _CONTROL_FRAMES_A_CALL
        call = Call(self._outbox, stream_id, head, self._since)
        call.window = self._window_of_calls
        self._calls[stream_id] = call
        if head.http_status != 200:
            self._refuse_http(call)
        elif head.refusal is not None:
            call.refuse(head.refusal)
        elif head.method is not None and head.method.stream is not None:
            receiver = self._receivers[stream_id] = head.method.stream(call)
            call.on_cancel = receiver.cancel
        if flags & frames.END_STREAM and not call.over:
            self._finished(call, [])

    def _read(self, block: bytes) -> CallHead:
        try:
            headers = self._decoder.decode(block)
            head = read_head(headers, self._lobby.methods)
        except BadHeaders as error:
            raise ConnectionFault(frames.COMPRESSION_ERROR, str(error)) from error
        if self._decoder.changed:
            self._heads.clear()
        elif len(self._heads) < _HEADS_CACHED_MAX:
            self._heads[block] = head
        return head

    def _on_trailers(self, stream_id: int, flags: int, block: bytes) -> None:
        try:
            self._decoder.decode(block)
        except BadHeaders as error:
            raise ConnectionFault(frames.COMPRESSION_ERROR, str(error)) from error
        if self._decoder.changed:
            self._heads.clear()
        self._count_control()
        call = self._calls.get(stream_id)
        if call is not None and flags & frames.END_STREAM and not call.remote_done:
            self._finished(call, [])

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._widen(size)
        if flags & frames.PADDED:
            payload = unpadded(payload, flags & frames.PADDED)
        call = self._calls.get(stream_id)
        if call is None or call.over:
            if stream_id > self._seen_id or not stream_id:
                raise ConnectionFault(frames.PROTOCOL_ERROR, "data before its headers")
            self._count_control()
            return
        if call.remote_done:
            raise ConnectionFault(frames.STREAM_CLOSED, "data after the end of its stream")
        if not size and not flags & frames.END_STREAM:
            self._count_control()
        try:
            messages = call.feed(payload)
        except RequestError as error:
            call.refuse(error)
            return
        call.began = self._since
        if flags & frames.END_STREAM:
            self._finished(call, messages)
        elif messages:
            self._take(call, messages)
        self._acknowledge(call, size)

    def _widen(self, size: int) -> None:
        """Give the connection's window back what was received; messages have bounds of their own."""
        self._unacknowledged += size
        if self._unacknowledged > CONNECTION_WINDOW_BYTES // 2:
            self._transport.write(frames.window_update(0, self._unacknowledged))
            self._unacknowledged = 0

    def _acknowledge(self, call: Call, size: int) -> None:
        """Widen the window of a streaming call by what it has used; a unary one fits in at once."""
        if call.id not in self._receivers or call.remote_done:
            return
        call.unacknowledged += size
        if call.unacknowledged > WINDOW_SLACK_BYTES // 2:
            self._transport.write(frames.window_update(call.id, call.unacknowledged))
            call.unacknowledged = 0

    def _finished(self, call: Call, messages: list[bytes]) -> None:
        """The client has sent all of a call."""
        call.remote_done = True
        if call.incomplete:
            call.refuse(Malformed("the call ended inside a message"))
            return
        receiver = self._receivers.get(call.id)
        if receiver is not None:
            self._take(call, messages)
            if not call.over:
                receiver.end()
            return
        if len(messages) != 1:
            call.refuse(Unimplemented(f"a unary call has one message, not {len(messages)}"))
            return
        self._take(call, messages)

    def _take(self, call: Call, messages: list[bytes]) -> None:
        receiver = self._receivers.get(call.id)
        method = call.head.method
        if receiver is None and not call.remote_done:
            call.refuse(Unimplemented("a unary call has one message, and then its end"))
            return
        try:
            for message in messages:
                if receiver is not None:
                    receiver.take(message)
                elif method is not None and method.unary is not None:
                    method.unary(call, message)
        except RequestError as error:
            call.refuse(error)
        except Exception as fault:  # noqa: BLE001 - one call must not end the connection
            self._refuse_fault(call, fault)

    def _refuse_fault(self, call: Call, fault: Exception) -> None:
        log("request_fault", "error", error=f"{type(fault).__name__}: {fault}")
        call.refuse(Malformed("a fault of the server; its log says more"))

    def _on_reset(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(frames.FRAME_SIZE_ERROR, "a reset of odd length")
        if not stream_id or stream_id > self._seen_id:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a reset of a stream that is not open")
        self._count_control()
        call = self._calls.get(stream_id)
        if call is not None:
            # Opening calls only to reset them is how "rapid reset" makes servers work for nothing.
            self._control_frames += 2 * _CONTROL_FRAMES_A_CALL
            self._drop(call)

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._count_control()
        if stream_id or (flags & frames.ACK and payload):
            raise ConnectionFault(frames.PROTOCOL_ERROR, "settings of a stream")
        if flags & frames.ACK:
            return
        for key, value in frames.read_settings(payload):
            if key == frames.INITIAL_WINDOW_SIZE:
                self._resize_windows(value)
            elif key == frames.MAX_FRAME_SIZE:
                if not frames.FRAME_BYTES_DEFAULT <= value <= frames.FRAME_BYTES_MAX:
                    raise ConnectionFault(frames.PROTOCOL_ERROR, "a frame size out of range")
                self._outbox.frame_bytes_max = value
            elif key == frames.ENABLE_PUSH and value > 1:
                raise ConnectionFault(frames.PROTOCOL_ERROR, "enable-push is 0 or 1")
        self._transport.write(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._outbox.flush(self._calls.values())

    def _resize_windows(self, size: int) -> None:
        if size > frames.WINDOW_MAX:
            raise ConnectionFault(frames.FLOW_CONTROL_ERROR, "a window out of range")
        for call in self._calls.values():
            call.window += size - self._window_of_calls
        self._window_of_calls = size

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._count_control()
        if stream_id or len(payload) != 8:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a ping that is none")
        if not flags & frames.ACK:
            self._transport.write(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _on_window_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        self._count_control()
        if len(payload) != 4:
            raise ConnectionFault(frames.FRAME_SIZE_ERROR, "a window update of odd length")
        size = int.from_bytes(payload) & frames.WINDOW_MAX
        if not size:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a window update of nothing")
        if not stream_id:
            self._outbox.widen(size)
            self._outbox.flush(self._calls.values())
            return
        call = self._calls.get(stream_id)
        if call is None:
            return
        call.window += size
        if call.window > frames.WINDOW_MAX:
            self._transport.write(frames.reset(stream_id, frames.FLOW_CONTROL_ERROR))
            self._drop(call)
        else:
            self._outbox.flush((call,))

    def _on_priority(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        self._count_control()

    def _on_push(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        raise ConnectionFault(frames.PROTOCOL_ERROR, "a client cannot push")

    def _on_goaway(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        self._going_away = True
        self.close_idle()

    def _count_control(self) -> None:
        self._control_frames += 1
        if self._control_frames > _CONTROL_FRAMES_MAX:
            raise ConnectionFault(frames.ENHANCE_YOUR_CALM, "too many frames without calls")

    # -- ends

    def tick(self, now: float) -> None:
        """Enforce the timeouts; called once a second."""
        self._control_frames = 0
        timeouts = self._lobby.timeouts
        age_s = now - self._since
        if self._deaf:
            if age_s > _LINGER_S:
                self._transport.abort()
        elif not self._greeted:
            if age_s > timeouts.head_s:
                self._fail(ConnectionFault(frames.PROTOCOL_ERROR, "no HTTP/2 preface came"))
        elif not self._writable:
            if age_s > timeouts.body_s:
                self._transport.abort()
        elif not self._calls and age_s > _IDLE_S:
            self.go_away(last=True)
            self.close_idle()
        for call in list(self._calls.values()):
            self._check(call, now - timeouts.body_s)

    def _check(self, call: Call, oldest: float) -> None:
        if call.outgoing and call.blocked_since < oldest:
            self._transport.write(frames.reset(call.id, frames.FLOW_CONTROL_ERROR))
            self._drop(call)
            return
        waiting = call.id not in self._receivers or call.incomplete
        if waiting and not call.remote_done and call.began < oldest:
            call.refuse(DeadlinePassed("the message was not sent in time"))

    def go_away(self, *, last: bool) -> None:
        """Tell the client to open no more calls here; those it has opened meanwhile are taken."""
        if self._deaf or self._going_away:
            return
        self._going_away = last
        last_id = self._last_id if last else frames.STREAM_ID_MAX
        self._transport.write(frames.goaway(last_id, frames.NO_ERROR))

    def close_idle(self) -> bool:
        """Close if nothing is under way."""
        if self._calls:
            return False
        self._deaf = True
        self._transport.close()
        return True

    def _refuse_http(self, call: Call) -> None:
        """Answer what is no gRPC call in the words of HTTP."""
        block = literal(b":status", b"%d" % call.head.http_status)
        flags = frames.END_HEADERS | frames.END_STREAM
        self._transport.write(frames.frame(frames.HEADERS, flags, call.id, block))
        call.end()
        self._done(call)

    def _done(self, call: Call) -> None:
        """The call's status is out."""
        self._calls.pop(call.id, None)
        self._receivers.pop(call.id, None)
        if not call.remote_done:
            self._transport.write(frames.reset(call.id, frames.NO_ERROR))
        if self._going_away:
            self.close_idle()

    def _drop(self, call: Call) -> None:
        """The client no longer wants the call."""
        self._calls.pop(call.id, None)
        self._receivers.pop(call.id, None)
        call.abandon()
        if self._going_away and not self._deaf:
            self.close_idle()

    def _fail(self, fault: ConnectionFault) -> None:
        self._deaf = True
        self._lobby.faults += 1
        self._transport.write(frames.goaway(self._last_id, fault.code, str(fault)))
        for call in list(self._calls.values()):
            self._drop(call)
        self._transport.close()
