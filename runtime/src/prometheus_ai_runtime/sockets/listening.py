"""Listening sockets: a transport and a protocol for everyone who connects."""

import asyncio
import errno
import select
import socket
from collections.abc import Callable
from typing import Protocol

from prometheus_ai_runtime.log import log
from prometheus_ai_runtime.sockets.loop import DirectLoop
from prometheus_ai_runtime.sockets.transport import SocketTransport

_ACCEPTED_AT_ONCE = 256
_PAUSE_S = 1.0
"""For how long nobody is let in when files or memory have run out."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Factory = Callable[[], asyncio.BaseProtocol]


class Listening(Protocol):
    """What lets clients in until it is closed."""

    def close(self) -> None:
        """Let nobody in any more."""


class SocketListener:
    """Accepts on a direct loop."""

    def __init__(self, loop: DirectLoop, sock: socket.socket, factory: Factory) -> None:
        self._loop = loop
        self._sock = sock
        self._factory = factory
        self._is_open = True
        self._watches = False
        self._watch()

    def close(self) -> None:
        """Let nobody in any more."""
        if self._is_open:
            self._is_open = False
            self._ignore()
            self._sock.close()

    def _watch(self) -> None:
        if self._is_open:
            self._watches = True
            self._loop.direct.attach(self._sock.fileno(), select.EPOLLIN, self._on_events)

    def _ignore(self) -> None:
        if self._watches:
            self._watches = False
            self._loop.direct.detach(self._sock.fileno())

    def _on_events(self, _events: int) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                client, _address = self._sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log("accept_failed", "error", error=str(error))
                if error.errno in _EXHAUSTED:
                    self._ignore()
                    self._loop.call_later(_PAUSE_S, self._watch)
                return
            self._welcome(client)

    def _welcome(self, client: socket.socket) -> None:
        try:
            client.setblocking(False)
            if client.family != socket.AF_UNIX:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            SocketTransport(self._loop, client).start(self._factory())
        except Exception as fault:  # noqa: BLE001 - one client must not end the loop
            log("connection_fault", "error", error=f"{type(fault).__name__}: {fault}")
            client.close()


async def listen(sock: socket.socket, factory: Factory, backlog: int) -> Listening:
    """Let clients of a bound socket in, in the way that the running loop has."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, DirectLoop):
        return await loop.create_server(factory, sock=sock, backlog=backlog)
    sock.listen(backlog)
    sock.setblocking(False)
    return SocketListener(loop, sock, factory)
