"""One connected socket: bytes to its protocol as they come, and back at once if the kernel has room."""

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import Callable
from typing import cast

from prometheus_ai_runtime.log import log
from prometheus_ai_runtime.sockets.loop import DirectLoop, OnEvents

_READ_BYTES = 16 * 1024
_READ_BYTES_MAX = 256 * 1024
"""Read at once after a read that was full. Room for so much is made and given back with each read, which
costs more than the read where the allocator asks the kernel for it, and leaves holes in the heap."""
_SEND_BYTES = 1024 * 1024
_READS_AT_ONCE = 8
_HIGH_BYTES = 64 * 1024
"""With more than this unsent, the protocol is told to pause."""
_LOW_BYTES = 16 * 1024
_IN, _OUT = select.EPOLLIN, select.EPOLLOUT


class SocketTransport(asyncio.Transport):
    """A transport that calls its protocol from within the selector, and sends while it is asked to."""

    def __init__(self, loop: DirectLoop, sock: socket.socket) -> None:
        super().__init__()
        self._loop = loop
        self._direct = loop.direct
        self._sock = sock
        self._fd = sock.fileno()
        self._protocol: asyncio.BaseProtocol = asyncio.BaseProtocol()
        self._data_received: Callable[[bytes], None] = _nobody
        self._owner: OnEvents = _nothing
        self._unsent = bytearray()
        self._events = 0
        self._read_bytes = _READ_BYTES
        self._reads = True
        self._paused_protocol = self._closing = self._eof = self._eof_wanted = self._lost = False

    def start(self, protocol: asyncio.BaseProtocol) -> None:
        """Give the socket to its protocol and read."""
        self._set(protocol)
        self._watch(_IN)
        protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what comes from now on to another protocol."""
        self._set(protocol)
        if self._events:
            self._direct.turn(self._fd, self._owner)

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._closing

    def pause_reading(self) -> None:
        """Leave bytes with the kernel."""
        self._reads = False
        self._watch(self._events & ~_IN)

    def resume_reading(self) -> None:
        """Take bytes again."""
        self._reads = True
        if not self._closing and not self._eof:
            self._watch(self._events | _IN)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send what the kernel takes, and the rest when it has room."""
        if self._closing or self._eof_wanted:
            return
        if not self._unsent:
            try:
                sent = os.write(self._fd, data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._end(error)
                return
            if sent == len(data):
                return
            data = memoryview(data)[sent:]
        self._unsent += data
        self._watch(self._events | _OUT)
        if len(self._unsent) > _HIGH_BYTES and not self._paused_protocol:
            self._paused_protocol = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        """Whether this end can stop sending alone: it can."""
        return True

    def write_eof(self) -> None:
        """Send no more after what is written."""
        if self._closing or self._eof_wanted:
            return
        self._eof_wanted = True
        if not self._unsent:
            self._shut()

    def close(self) -> None:
        """Send what is written, then close."""
        if self._closing:
            return
        self._closing = True
        self._watch(self._events & ~_IN)
        if not self._unsent:
            self._end(None)

    def abort(self) -> None:
        """Close at once."""
        self._unsent.clear()
        self._end(None)

    def _set(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            self._owner = self._on_events_buffered
        else:
            self._data_received = cast(asyncio.Protocol, protocol).data_received
            self._owner = self._on_events

    def _on_events(self, events: int) -> None:
        if events != _IN and not self._others(events):
            return
        try:
            data = os.read(self._fd, self._read_bytes)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        self._read_bytes = _READ_BYTES if len(data) < _READ_BYTES else _READ_BYTES_MAX
        try:
            if data:
                self._data_received(data)
            else:
                self._ended()
        except Exception as fault:  # noqa: BLE001 - one connection must not end the loop
            self._fault(fault)

    def _on_events_buffered(self, events: int) -> None:
        if events != _IN and not self._others(events):
            return
        protocol = cast(asyncio.BufferedProtocol, self._protocol)
        try:
            for _ in range(_READS_AT_ONCE):
                room = cast(memoryview, protocol.get_buffer(-1))
                count = self._sock.recv_into(room)
                if not count:
                    self._ended()
                    return
                protocol.buffer_updated(count)
                # More of a large body mostly comes while the last piece is being taken.
                if count == len(room) or protocol is not self._protocol or not self._events & _IN:
                    return
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
        except Exception as fault:  # noqa: BLE001 - one connection must not end the loop
            self._fault(fault)

    def _others(self, events: int) -> bool:
        """Send if there is room; whether there is something to read as well."""
        if self._unsent and events & ~_IN:
            self._send()
        return bool(events & ~_OUT) and bool(self._events & _IN)

    def _send(self) -> None:
        try:
            with memoryview(self._unsent) as unsent:
                sent = os.write(self._fd, unsent[:_SEND_BYTES])
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        del self._unsent[:sent]
        if self._paused_protocol and len(self._unsent) <= _LOW_BYTES:
            self._paused_protocol = False
            self._protocol.resume_writing()
        if self._unsent:
            return
        self._watch(self._events & ~_OUT)
        if self._closing:
            self._end(None)
        elif self._eof_wanted:
            self._shut()

    def _ended(self) -> None:
        """The other end sends no more."""
        self._eof = True
        self._watch(self._events & ~_IN)
        if not cast(asyncio.Protocol, self._protocol).eof_received():
            self.close()

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _watch(self, events: int) -> None:
        """Wait for these events and no others; a socket without any is not asked for its errors."""
        before, self._events = self._events, events
        if self._lost or before == events:
            self._events = before if self._lost else events
        elif not events:
            self._direct.detach(self._fd)
        elif before:
            self._direct.change(self._fd, events)
        else:
            self._direct.attach(self._fd, events, self._owner)

    def _fault(self, fault: Exception) -> None:
        log("connection_fault", "error", error=f"{type(fault).__name__}: {fault}")
        self.abort()

    def _end(self, error: OSError | None) -> None:
        """Close; the protocol learns of it when it has returned from what it is doing."""
        if self._lost:
            return
        self._closing = True
        self._watch(0)
        self._lost = True
        self._loop.call_soon(self._tell, error)

    def _tell(self, error: OSError | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._sock.close()
            # They hold each other; let go, so that both are gone at once.
            self._protocol, self._data_received = asyncio.BaseProtocol(), _nobody
            self._owner = _nothing


def _nothing(_events: int) -> None:
    """Nobody is told what happens to a socket that is closed."""


def _nobody(_data: bytes) -> None:
    raise AssertionError("a protocol comes before its bytes")
