"""One request that waits: taken in whole, held, passed to a replica, and its answer passed back."""

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import h11

from prometheus_ai.adapters.gateways.envoy.grpc_refusal import UNAVAILABLE, refusal_headers
from prometheus_ai.domain.replica import Endpoint

HEAD_BYTES_MAX = 64 * 2**10
"""More than the gateway lets through; see ``HEADERS_KB_MAX``."""
READ_BYTES = 64 * 2**10
CONNECT_S = 2.0
HOLD_HEADER = b"x-pai-hold"
AWAKE_HEADER = b"x-pai-awake"
"""Has the gateway send a held call again, now that there is a replica."""
_OF_ONE_CONNECTION = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"upgrade"})

Headers = list[tuple[bytes, bytes]]


class Refused(Exception):
    """The request is not passed on; the caller is told why and when to come back."""

    grpc_status = UNAVAILABLE
    is_awake = False
    """Whether the gateway may send the call again itself."""

    def __init__(self, text: str, *, retry_after_s: float = 1.0, status: int = 503) -> None:
        super().__init__(text)
        self.text, self.status = text, status
        self.retry_after_s = max(1, math.ceil(retry_after_s))


@dataclass(kw_only=True)
class Caller:
    """The gateway's end of one request."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    wire: h11.Connection = field(
        default_factory=lambda: h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
    )
    is_grpc: bool = False
    """Whether its request is a gRPC call, known once the head is read."""

    async def head(self) -> h11.Request | None:
        """Read the head; None when the caller went away."""
        event = await next_event(self.wire, self.reader)
        if not isinstance(event, h11.Request):
            return None
        kind = dict(event.headers).get(b"content-type", b"")
        self.is_grpc = kind.startswith(b"application/grpc")
        return event

    async def body(self, take: Callable[[int], None]) -> list[bytes]:
        """Read the body; ``take`` is told of every piece's size and may refuse it.

        Raises:
            Refused: it does not fit.
            ConnectionError: the caller went away.
        """
        pieces: list[bytes] = []
        if self.wire.they_are_waiting_for_100_continue:
            self.writer.write(
                self.wire.send(h11.InformationalResponse(status_code=100, headers=[])) or b""
            )
        while True:
            event = await next_event(self.wire, self.reader)
            if isinstance(event, h11.Data):
                take(len(event.data))
                pieces.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return pieces
            else:
                raise ConnectionError("the caller went away before its request was whole")

    async def gone(self) -> None:
        """Return when the caller goes away."""
        while await self.reader.read(READ_BYTES):
            pass

    async def refuse(self, refused: Refused) -> None:
        """Answer that the request is not passed on, if nothing was answered yet."""
        if self.wire.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        if self.is_grpc:
            body, status = b"", 200
            headers = refusal_headers(refused.grpc_status, refused.text, refused.retry_after_s)
        else:
            body, status = json.dumps({"error": refused.text}).encode(), refused.status
            headers = [
                (b"content-type", b"application/json"),
                (b"retry-after", str(refused.retry_after_s).encode()),
            ]
        if refused.is_awake:
            headers.append((AWAKE_HEADER, b"1"))
        headers += [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        await self.send(h11.Response(status_code=status, headers=headers))
        await self.send(h11.Data(data=body))
        await self.send(h11.EndOfMessage())

    async def send(self, event: h11.Event) -> None:
        """Pass one event of an answer on."""
        self.writer.write(self.wire.send(event) or b"")
        await self.writer.drain()


async def pass_on(request: h11.Request, body: list[bytes], to: Endpoint, caller: Caller) -> None:
    """Send a whole request to a replica, and its answer to the caller, piece by piece.

    Raises:
        ConnectionRefusedError: the replica takes no connection; nothing was sent.
        OSError: the connection broke.
        h11.ProtocolError: the replica does not speak HTTP.
    """
    async with _connected(to) as (reader, writer):
        wire = h11.Connection(h11.CLIENT)
        head = h11.Request(
            method=request.method, target=request.target, headers=_framed(request, body)
        )
        events: list[h11.Event] = [head, *(h11.Data(data=piece) for piece in body if piece)]
        for event in (*events, h11.EndOfMessage()):
            writer.write(wire.send(event) or b"")
        await writer.drain()
        while True:
            answer = await next_event(wire, reader)
            if isinstance(answer, h11.Response):
                kept = _kept(list(answer.headers))
                kept.append((b"connection", b"close"))
                await caller.send(h11.Response(status_code=answer.status_code, headers=kept))
            elif isinstance(answer, h11.Data):
                await caller.send(answer)
            elif isinstance(answer, h11.EndOfMessage):
                await caller.send(answer)
                return
            elif isinstance(answer, h11.ConnectionClosed):
                raise ConnectionError("the replica closed the connection without an answer")


async def next_event(wire: h11.Connection, reader: asyncio.StreamReader) -> h11.Event:
    """Return the next event of a connection, reading as much as that takes."""
    while True:
        event = wire.next_event()
        if event is not h11.NEED_DATA:
            assert isinstance(event, h11.Event), "one request a connection, so it is never paused"
            return event
        wire.receive_data(await reader.read(READ_BYTES))


async def first_of(main: Awaitable[object], other: Awaitable[object], within_s: float) -> bool:
    """Await the first within a bound, unless the other ends before; return whether the first ended.

    Raises:
        TimeoutError: neither ended in time.
        Exception: whatever the one that ended raised.
    """
    tasks = [asyncio.ensure_future(main), asyncio.ensure_future(other)]
    try:
        done, _ = await asyncio.wait(tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise TimeoutError
        if tasks[0] in done:
            tasks[0].result()
            return True
        tasks[1].result()
        return False
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _connected(
    to: Endpoint,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(to.host, to.port)
    except TimeoutError as error:
        raise ConnectionRefusedError(f"no connection within {CONNECT_S:g} s") from error
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _framed(request: h11.Request, body: list[bytes]) -> Headers:
    """Return the headers for a body that is known in whole."""
    headers = [
        (name, value)
        for name, value in _kept(list(request.headers))
        if name not in (b"content-length", b"transfer-encoding", b"expect", HOLD_HEADER)
    ]
    size = sum(len(piece) for piece in body)
    if size or request.method in (b"POST", b"PUT", b"PATCH"):
        headers.append((b"content-length", str(size).encode()))
    return [*headers, (b"connection", b"close")]


def _kept(headers: Headers) -> Headers:
    return [(name, value) for name, value in headers if name not in _OF_ONE_CONNECTION]
