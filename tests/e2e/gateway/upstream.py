"""Replicas for gateway tests: real HTTP/1.1 servers that do what a path says, and can be killed."""

import asyncio
import contextlib
import json
import threading
from collections import Counter
from typing import Any

from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.route import RoutedReplica


class _Tracked(asyncio.StreamReaderProtocol):
    """A connection that is known from its first to its last moment."""

    def __init__(self, upstream: "Upstream") -> None:
        super().__init__(asyncio.StreamReader(limit=2**21), upstream.serve)
        self._transports = upstream.transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transports.add(transport)
        self._transport_seen = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transports.discard(self._transport_seen)
        super().connection_lost(exc)


class Upstream:
    """One replica on a thread of its own.

    Paths: ``…/status/503`` answers that; ``…/sleep/250`` answers after that many ms; ``…/abort`` breaks
    the connection; ``…/abort-once/KEY`` does so the first time; ``…/events`` streams three server-sent
    events, the last one after ``release_stream``; anything else is echoed as JSON.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: Counter[str] = Counter()
        """Requests by path."""
        self.aborted: set[str] = set()
        self._release = threading.Event()
        self._loop = asyncio.new_event_loop()
        self.transports: set[Any] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"upstream-{name}")
        self._thread.start()
        self.listen()

    @property
    def replica(self) -> RoutedReplica:
        """Return this replica as a table names it."""
        return RoutedReplica(id=self.name, endpoint=Endpoint(host="127.0.0.1", port=self.port))

    @property
    def requests(self) -> int:
        """Return how many requests came in."""
        return self.seen.total()

    def listen(self) -> None:
        """Take the port (again) and answer."""
        self._run(self._listen())

    def kill(self) -> None:
        """Vanish as a process killed by SIGKILL does: the port refuses, open connections break."""
        self._run(self._kill())

    def release_stream(self) -> None:
        """Let ``…/events`` send its last event."""
        self._release.set()

    def close(self) -> None:
        """End the server and its thread."""
        self._release.set()
        self._run(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(
            lambda: _Tracked(self), "127.0.0.1", self.port, backlog=512
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _kill(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self.transports):
            transport.abort()
        await asyncio.sleep(0)

    async def _finish(self) -> None:
        await self._kill()
        while self.transports or asyncio.all_tasks() - {asyncio.current_task()}:
            await self._kill()
            for task in self._answering:
                task.cancel()
            await asyncio.sleep(0.01)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        # A client or a kill may break the connection at any point, which is what tests are for.
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._answer(reader, writer):
                pass
        self._answering.discard(task)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        lines = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in lines}
        self.seen[path] += 1
        if headers.get("upgrade") == "websocket":
            return await self._tunnel(reader, writer)
        size = await _body_size(reader, headers)
        *_, verb, argument = ["", "", *path.partition("?")[0].split("/")]
        status = 200
        if verb == "sleep":
            await asyncio.sleep(int(argument) / 1000)
        elif verb == "status":
            status = int(argument)
        elif argument == "abort" or (verb == "abort-once" and self._is_first(argument)):
            writer.transport.abort()
            return False
        elif argument == "events":
            return await self._events(writer)
        echo = {"replica": self.name, "method": method, "path": path, "headers": headers}
        body = json.dumps(echo | {"body_size": size}).encode()
        writer.write(
            f"HTTP/1.1 {status} x\r\nx-pai-release: what/ever\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        return True

    def _is_first(self, key: str) -> bool:
        # Shared by nobody: each replica breaks off once, so a retry elsewhere may break again.
        return not (key in self.aborted or self.aborted.add(key))

    async def _events(self, writer: asyncio.StreamWriter) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for number in range(3):
            if number == 2:
                await asyncio.to_thread(self._release.wait, 30)
            event = f"data: {self.name} {number}\n\n".encode()
            writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        )
        while data := await reader.read(4096):
            writer.write(data.upper())
            await writer.drain()
        return False


async def _body_size(reader: asyncio.StreamReader, headers: dict[str, str]) -> int:
    if headers.get("transfer-encoding") != "chunked":
        size = int(headers.get("content-length", 0))
        await reader.readexactly(size)
        return size
    total = 0
    while size := int(await reader.readline(), 16):
        total += size
        await reader.readexactly(size + 2)
    await reader.readline()
    return total
