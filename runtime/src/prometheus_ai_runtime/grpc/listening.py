"""The gRPC listener: binds, admits, ticks, drains."""

import asyncio
import socket
from time import perf_counter

from prometheus_ai_runtime.grpc.telling import methods
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.http2.connection import Connection
from prometheus_ai_runtime.http2.lobby import Lobby
from prometheus_ai_runtime.sockets.listening import Listening
from prometheus_ai_runtime.sockets.listening import listen as accept

_BACKLOG = 2048
_TICK_S = 1.0
_ROUND_TRIP_S = 0.1
"""How long clients have to learn that this server takes no more calls."""
_POLL_S = 0.02


class Listener:
    """A protocol listener beside HTTP, as the server sees it."""

    def __init__(self, lobby: Lobby, server: Listening, port: int) -> None:
        self.port = port
        self._lobby = lobby
        self._server = server
        self._ticker = asyncio.get_running_loop().create_task(self._tick())

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, finish those under way, and end within ``grace_s``."""
        ends = perf_counter() + grace_s
        self._server.close()
        for guest in self._lobby.guests():
            guest.go_away(last=False)
        await asyncio.sleep(min(_ROUND_TRIP_S, grace_s))
        for guest in self._lobby.guests():
            guest.go_away(last=True)
        while perf_counter() < ends and not self._all_closed():  # noqa: ASYNC110 - sockets have no one event
            await asyncio.sleep(_POLL_S)
        self._ticker.cancel()

    def _all_closed(self) -> bool:
        busy = [guest for guest in self._lobby.guests() if not guest.close_idle()]
        return not busy

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            now = perf_counter()
            for guest in self._lobby.guests():
                guest.tick(now)


async def listen(host: ModelHost, address: str, port: int) -> Listener:
    """Start listening; port 0 takes any free one. Raises OSError when the port cannot be had."""
    lobby = Lobby(host.config.limits, host.config.timeouts, methods(host))
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.create_server((address, port), family=family, backlog=_BACKLOG)
    server = await accept(bound, lambda: Connection(lobby), _BACKLOG)
    return Listener(lobby, server, bound.getsockname()[1])
