"""The server process: bind, announce, load, serve, drain, and the exit code."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson

from prometheus_ai_runtime.config import ServerConfig
from prometheus_ai_runtime.engines.base import EngineError, EngineMissing
from prometheus_ai_runtime.errors import StartFailed
from prometheus_ai_runtime.grpc.listening import listen
from prometheus_ai_runtime.hosting.entry import Front
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.hosting.loading import LoadFailed
from prometheus_ai_runtime.http.connection import Connection
from prometheus_ai_runtime.http.door import Door
from prometheus_ai_runtime.http.router import Router
from prometheus_ai_runtime.http.routes import add_routes
from prometheus_ai_runtime.log import log
from prometheus_ai_runtime.sockets.listening import Listening
from prometheus_ai_runtime.sockets.listening import listen as accept
from prometheus_ai_runtime.watch.watchdog import Watchdog

EXIT_USAGE, EXIT_LOAD, EXIT_ENGINE_MISSING, EXIT_FAULT, EXIT_BIND = 64, 65, 69, 70, 73

_BACKLOG = 2048
_TICK_S = 0.1
_QUIET_S = 0.1
_LATE_ARRIVALS_S = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Listen:
    """Where to listen and whom to tell."""

    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int | None = None
    announce: Path | None = None


class Server:
    """One server process's listeners, models and life; lives on the event loop."""

    def __init__(self, config: ServerConfig, listen: Listen) -> None:
        self._config = config
        self._listen = listen
        self.host = ModelHost(config)
        router = Router()
        self.door = Door(config.limits, config.timeouts, router.resolve)
        add_routes(router, self.host, self.door)
        self._stop = asyncio.Event()
        self._listener: Listening | None = None
        self._grpc: Front | None = None

    async def run(self) -> None:
        """Serve until told to stop; raises StartFailed when that was never possible."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        bound = bind(self._listen.host, self._listen.port)
        self._listener = await accept(bound, lambda: Connection(self.door), _BACKLOG)
        port = bound.getsockname()[1]
        grpc_port = await self._listen_grpc()
        if self._listen.announce is not None:
            announce(self._listen.announce, self._listen.host, port, grpc_port)
        log("listening", host=self._listen.host, http_port=port, grpc_port=grpc_port)
        watchdog = Watchdog(bound, self._config.timeouts.progress_s)
        watchdog.start()
        ticker = loop.create_task(self._tick(watchdog))
        try:
            if await self._load():
                log("ready", models=[m.config.label for m in self.host])
                await self._stop.wait()
            await self._drain()
        finally:
            ticker.cancel()
            watchdog.stop()
            self.host.close()

    async def _listen_grpc(self) -> int | None:
        if self._listen.grpc_port is None:
            return None
        try:
            self._grpc = await listen(self.host, self._listen.host, self._listen.grpc_port)
        except OSError as error:
            where = f"{self._listen.host}:{self._listen.grpc_port}"
            why, advice = _why_not_bound(error, "--grpc-port")
            raise StartFailed(
                EXIT_BIND, f"cannot listen for gRPC on {where}: {why}; {advice}"
            ) from error
        return self._grpc.port

    async def _load(self) -> bool:
        """Load every model; false when the server was asked to stop meanwhile."""
        loads = [self.host.load(model) for model in self._config.models]
        stop = asyncio.ensure_future(self._stop.wait())
        everything = asyncio.gather(*loads)
        timeout_s = self._config.timeouts.startup_s
        either: set[asyncio.Future[Any]] = {everything, stop}
        await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if stop.done():
            everything.cancel()
            return False
        stop.cancel()
        if not everything.done():
            raise StartFailed(
                EXIT_LOAD,
                f"not loaded within startup_s = {timeout_s:g} s (still {self.host.phase}); "
                "raise timeouts.startup_s or look at what the model does when it is loaded",
            )
        try:
            everything.result()
        except EngineMissing as error:
            raise StartFailed(EXIT_ENGINE_MISSING, str(error)) from error
        except (EngineError, LoadFailed) as error:
            raise StartFailed(EXIT_LOAD, str(error)) from error
        self.host.phase = "ready"
        return True

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            log("stopped", reason="asked twice")
            os._exit(0)
        self.host.draining = self.door.draining = True
        self._stop.set()

    async def _drain(self) -> None:
        """Finish what was accepted; requests that still arrive in the first moments count."""
        began = perf_counter()
        log("draining", requests_active=self._active())
        drain_s = self._config.timeouts.drain_s
        accept_until = began + min(_LATE_ARRIVALS_S, drain_s / 2)
        while (now := perf_counter()) < accept_until:
            if now - max(began, self.door.bytes_seen_at) >= _QUIET_S and not self._active():
                break
            await asyncio.sleep(_QUIET_S / 4)
        if self._listener is not None:
            self._listener.close()
        while perf_counter() - began < drain_s and (self._active() or self.door.close_idle()):  # noqa: ASYNC110 - queues and sockets have no one event
            await asyncio.sleep(_QUIET_S / 4)
        if self._grpc is not None:
            await self._grpc.stop(max(0.0, drain_s - (perf_counter() - began)))
        left = self._active()
        log("stopped", "warning" if left else "info", reason="drained", requests_lost=left)
        if left:
            # An engine that does not return would hold the process up for ever.
            os._exit(0)

    def _active(self) -> int:
        return sum(m.batcher.active() for m in self.host)

    async def _tick(self, watchdog: Watchdog) -> None:
        while True:
            watchdog.beat()
            await asyncio.sleep(_TICK_S)
            now = perf_counter()
            self.host.tick(now)
            self.door.tick(now)


def bind(host: str, port: int) -> socket.socket:
    """Take the port; raises StartFailed with exit code 73."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        why, advice = _why_not_bound(error, "--port")
        raise StartFailed(EXIT_BIND, f"cannot listen on {host}:{port}: {why}; {advice}") from error
    return bound


def _why_not_bound(error: OSError, option: str) -> tuple[str, str]:
    """The reason and what to do about it: an address that is not ours is no fault of the port."""
    why = error.strerror or str(error)
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return why, "choose another --host: an address of this machine, or 0.0.0.0 for all"
    return why, f"choose another {option}, or 0 for any free one"


def announce(path: Path, host: str, http_port: int, grpc_port: int | None) -> None:
    """Write the announce file aside and rename it into place; raises StartFailed."""
    document: dict[str, Any] = {
        "pid": os.getpid(),
        "host": host,
        "http_port": http_port,
        "grpc_port": grpc_port,
    }
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(orjson.dumps(document))
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise StartFailed(
            EXIT_BIND,
            f"cannot write the announce file {path}: {error.strerror or error}; "
            "choose a path in a folder that exists and can be written",
        ) from error
