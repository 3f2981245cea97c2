"""Throw requests at the server over real sockets, by clients that break off, stall and do not read.

    python runtime/fuzz/socket_fuzz.py --seconds 600

What is said comes from the corpus of ``http_fuzz``; what is new here is how: large binary bodies, pieces
with pauses, ends and resets in the middle, readers that stop. A finding is an exception, a fault in the
log, an answer that is not HTTP, a status 500, a client that is never let go, a file, a watched socket or a
budget that does not come back, or memory that grows. Its seed is printed, and the exit code is 1.
"""

import asyncio
import contextlib
import io
import json
import random
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from runtime.fuzz.course import ended, main, resident_kib
from runtime.fuzz.http_fuzz import mutated, seeds, split
from runtime.tests.fakes import FakeServer, parse_responses

from prometheus_ai_runtime.config import Limits
from prometheus_ai_runtime.http.connection import Connection
from prometheus_ai_runtime.sockets.listening import Listening, listen
from prometheus_ai_runtime.sockets.loop import DirectLoop

LIMITS = Limits(
    request_bytes_max=1024 * 1024, head_bytes_max=2048, pipelined_max=8, connections_max=64
)
CLIENTS = 8
"""Conversations at a time."""
LARGE_ROWS = (9_000, 30_000, 70_000)
"""At eight bytes a row: from what is received in place to nearly the bound."""
PATIENCE_S = 20.0
_RESET = struct.pack("ii", 1, 0)
_FAULTS = ("connection_fault", "request_fault", "crowd_fault", "accept_failed")


def served_loop() -> DirectLoop:
    """Return a loop as a server has it."""
    return DirectLoop(busy_poll_s=50e-6)


def large(rng: random.Random) -> bytes:
    """A request whose tensor is received in place, right but for chance."""
    rows = rng.choice(LARGE_ROWS)
    sizes = {"binary_data_size": rows * 8 + rng.choice([0, 0, 0, 1])}, {"binary_data_size": rows}
    x = {"name": "x", "datatype": "FP32", "shape": [rows, 2], "parameters": sizes[0]}
    s = {"name": "s", "datatype": "BYTES", "shape": [rows, 0], "data": []}
    b = {"name": "b", "datatype": "BOOL", "shape": [rows, 1], "parameters": sizes[1]}
    text = json.dumps({"inputs": [x, s, b], "outputs": [{"name": "y"}]}).encode()
    body = text + bytes(rows * 9)
    if rng.random() < 0.2:
        body = body[: -rng.randrange(1, len(body))]
    return (
        b"POST /v2/models/tiny/infer HTTP/1.1\r\nhost: x\r\n%b"
        b"inference-header-content-length: %d\r\ncontent-length: %d\r\n\r\n%b"
    ) % (
        rng.choice([b"", b"", b"x-request-id: %d\r\n" % rng.randrange(10**6)]),
        len(text) + rng.choice([0, 0, 0, -1, 7]),
        len(text) + rows * 9,
        body,
    )


def script(rng: random.Random, pool: list[bytes]) -> Iterator[bytes]:
    """What one client sends, in pieces: often the same again, since the server counts on that."""
    said = b""
    for _ in range(rng.randint(1, 4)):
        if not said or rng.random() < 0.5:
            said = large(rng) if rng.random() < 0.3 else rng.choice(pool)
        data = mutated(rng, [said]) if len(said) < 100_000 and rng.random() < 0.4 else said
        yield from split(rng, data)


class Fuzzer:
    """One server on a real socket, many clients on the same loop."""

    def __init__(self) -> None:
        self.server = FakeServer(LIMITS)
        self.faults: list[str] = []
        self.answered = 0
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DirectLoop), "run with the loop that is asked about"
        self.loop = loop
        self._bound = socket.create_server(("127.0.0.1", 0))
        self._listening: Listening | None = None
        loop.set_exception_handler(
            lambda _, context: self.faults.append(str(context.get("exception") or context))
        )

    async def open(self) -> None:
        """Let clients in."""
        door = self.server.door
        self._listening = await listen(self._bound, lambda: Connection(door), 64)

    def close(self) -> None:
        """Let nobody in any more."""
        if self._listening is not None:
            self._listening.close()
        self.server.host.close()

    async def converse(self, rng: random.Random, pool: list[bytes]) -> None:
        """Be one client; raises on an answer that no server may give."""
        client = socket.socket()
        client.setblocking(False)
        reads = rng.random() < 0.9
        if not reads:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        received = bytearray()
        with client, contextlib.suppress(ConnectionError):
            await self.loop.sock_connect(client, self._bound.getsockname())
            for piece in script(rng, pool):
                if rng.random() < 0.02:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    return
                await self._send(client, piece, received if reads else None)
                for _ in range(rng.choice([0, 0, 1, 5])):
                    await asyncio.sleep(0)
            if rng.random() < 0.5:
                client.shutdown(socket.SHUT_WR)
            await self._read(client, received)
        for response in parse_responses(bytes(received)):
            self.answered += 1
            assert response.status != 500, response.body

    async def _send(self, client: socket.socket, data: bytes, received: bytearray | None) -> None:
        """Send all, or as much as is taken; a client that reads makes room by reading."""
        view = memoryview(data)
        for _ in range(2000):
            if not view:
                return
            with contextlib.suppress(BlockingIOError):
                view = view[client.send(view) :]
            if received is not None:
                with contextlib.suppress(BlockingIOError):
                    received += client.recv(1 << 16)
            await asyncio.sleep(0)

    async def _read(self, client: socket.socket, received: bytearray) -> None:
        """Take what comes within a few turns."""
        quiet = 0
        while quiet < 30:
            await asyncio.sleep(0)
            try:
                data = client.recv(1 << 16)
            except BlockingIOError:
                quiet += 1
                continue
            if not data:
                return
            quiet = 0
            received += data

    async def settled(self) -> None:
        """Wait until every client is gone, and look at what they left; raises on a finding."""
        door = self.server.door
        end = time.monotonic() + PATIENCE_S
        while door.connections():
            assert time.monotonic() < end, f"{door.connections()} clients were never let go"
            # Those who stalled are given up by the clock, which runs ahead here.
            door.tick(time.perf_counter() + 100.0)
            await asyncio.sleep(0)
        await self.server.idle()
        await asyncio.sleep(0)
        assert not self.faults, self.faults
        watched = len(self.loop.direct._owners)  # noqa: SLF001 - it keeps no public count
        assert watched == 1, f"{watched} sockets are watched, only the listening one should be"
        assert door.reserve(LIMITS.body_bytes_total_max), "the body budget did not come back"
        door.release(LIMITS.body_bytes_total_max)

    async def play(self, seed: int, pool: list[bytes]) -> None:
        """Let some clients come at once; raises on a finding."""
        rng = random.Random(seed)
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            clients = (self.converse(random.Random(rng.random()), pool) for _ in range(CLIENTS))
            found = await asyncio.gather(*clients, return_exceptions=True)
            await self.settled()
        for each in found:
            if each is not None:
                raise each
        log = told.getvalue()
        assert not any(fault in log for fault in _FAULTS), log


def files() -> int:
    """How many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def run(seconds: float, seed: int, corpus: Path) -> int:
    """Fuzz for a while; gives the exit code."""
    pool = [data for data in seeds(corpus) if len(data) <= 4096]
    fuzzer = Fuzzer()
    await fuzzer.open()
    end, played, warm = time.monotonic() + seconds, 0, 100
    began_kib = began_files = 0
    while time.monotonic() < end:
        try:
            await fuzzer.play(seed + played, pool)
            played += 1
            assert played <= warm or files() <= began_files, f"{files() - began_files} files more"
        except Exception as finding:  # noqa: BLE001 - whatever it is, it is a finding
            print(f"FINDING seed {seed + played}: {type(finding).__name__}: {finding}")
            return 1
        if played == warm:
            began_kib, began_files = resident_kib(), files()
    fuzzer.close()
    told = f"{played * CLIENTS} conversations, {fuzzer.answered} answers"
    return ended(told, began_kib)


if __name__ == "__main__":
    main(__doc__, run, "corpus", served_loop)
