"""Throw mutated calls at the gRPC front and the queue, and keep what finds a new answer.

    python runtime/fuzz/grpc_fuzz.py --seconds 600

A finding is an exception, a fault of the server, frames that are not HTTP/2, a budget that does not
come back, or memory that grows. It is written to ``findings/`` and the exit code is 1.
"""

import asyncio
import contextlib
import io
import itertools
import random
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from runtime.fuzz.course import ended, keep_finding, kept, main, name_of, resident_kib
from runtime.tests.fakes import FakeServer, FakeTransport

from prometheus_ai_runtime.config import Limits
from prometheus_ai_runtime.grpc.telling import methods
from prometheus_ai_runtime.grpc.wire import packed, sized, text, varint
from prometheus_ai_runtime.http2 import frames
from prometheus_ai_runtime.http2.connection import Connection
from prometheus_ai_runtime.http2.hpack import Decoder, literal
from prometheus_ai_runtime.http2.lobby import Lobby

LIMITS = Limits(request_bytes_max=64 * 1024, head_bytes_max=2048)
SERVICE = b"/inference.GRPCInferenceService/"
METHODS = [
    *(SERVICE + name for name in (b"ModelInfer", b"ModelStreamInfer", b"ModelMetadata")),
    *(SERVICE + name for name in (b"ModelConfig", b"ModelStatistics", b"RepositoryIndex")),
    *(b"/grpc.health.v1.Health/Check", b"/no/such"),
]
HELLO = frames.PREFACE + frames.settings({})
FAULTS = (b"a fault of the server", b"the model failed")
TOKENS = [
    *(varint(n) for n in (0, 1, 127, 128, 2**31, 2**63, 2**64 - 1)),
    *(bytes((n << 3 | kind,)) for n in range(1, 9) for kind in (0, 1, 2, 5)),
    *(b"\xff" * 10, b"\0\0\0\0\0", b"FP32", b"BYTES", b"BOOL", b"\x00\x00\xc0\x7f"),
    *(frames.window_update(0, 1), frames.reset(1, 8), frames.frame(frames.PING, 0, 0, bytes(8))),
    *(frames.settings({4: 0}), frames.settings({4: 2**31 - 1}), frames.goaway(0, 0)),
]
NAME = re.compile(rb"`[^`]*`:?")
WORD = re.compile(rb"[a-zA-Z]{2,}:?")
DIGITS = re.compile(rb"\d+")


def message(rng: random.Random) -> bytes:
    """An inference request for the tiny model, right but for chance."""
    rows = rng.choice([1, 1, 2, 3])

    def tensor(name: str, datatype: str, width: int, contents: bytes) -> bytes:
        shape = packed(3, (rows, width))
        typed = sized(5, contents) if contents else b""
        return sized(5, text(1, name) + text(2, datatype) + shape + typed)

    is_typed = rng.random() < 0.3
    floats, flags = bytes(8 * rows), bytes(rows)
    words = [b"ab"] * (2 * rows)
    x = sized(6, floats) if is_typed else b""
    s = b"".join(sized(8, word) for word in words) if is_typed else b""
    b = sized(1, flags) if is_typed else b""
    body = text(1, "tiny") + (text(3, "id") if rng.random() < 0.3 else b"")
    body += tensor("x", "FP32", 2, x) + tensor("s", "BYTES", 2, s) + tensor("b", "BOOL", 1, b)
    if rng.random() < 0.2:
        body += sized(6, text(1, rng.choice(["y", "t", "z"])))
    if rng.random() < 0.2:
        body += sized(4, text(1, "priority") + sized(2, varint(2 << 3) + varint(rng.randrange(12))))
    if not is_typed:
        raw_words = b"".join(len(word).to_bytes(4, "little") + word for word in words)
        body += sized(7, floats) + sized(7, raw_words) + sized(7, flags)
    return body


def conversation(rng: random.Random, pool: list[bytes]) -> bytes:
    """Some calls, each mostly well formed, with a few bytes changed here and there."""
    if pool and rng.random() < 0.3:
        return changed(rng, rng.choice(pool), 4)
    pieces = [HELLO]
    for number in range(rng.randint(1, 4)):
        stream_id = 2 * number + 1
        path = rng.choice(METHODS[:2] * 3 + METHODS)
        headers = literal(b":method", b"POST") + literal(b":path", path)
        headers += literal(b"content-type", b"application/grpc")
        if rng.random() < 0.2:
            headers += literal(b"grpc-timeout", rng.choice([b"1n", b"5S", b"x", b"99999999H"]))
        if rng.random() < 0.1:
            headers += literal(b"grpc-encoding", rng.choice([b"gzip", b"deflate", b"br"]))
        if rng.random() < 0.2:
            headers = changed(rng, headers, 2)
        pieces.append(frames.frame(frames.HEADERS, frames.END_HEADERS, stream_id, headers))
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            body = message(rng) if path in METHODS[:2] else text(1, rng.choice(["tiny", "x"]))
            if rng.random() < 0.6:
                body = changed(rng, body, 3)
            flag = rng.choice([0, 0, 0, 0, 1, 2])
            data = bytes((flag,)) + len(body).to_bytes(4) + body
            pieces.append(frames.frame(frames.DATA, rng.choice([0, 1, 1, 1]), stream_id, data))
    stream = b"".join(pieces)
    return changed(rng, stream, 3) if rng.random() < 0.3 else stream


def changed(rng: random.Random, given: bytes, most: int) -> bytes:
    """A few small changes."""
    data = bytearray(given)
    for _ in range(rng.randint(1, most)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            data[at:at] = rng.choice(TOKENS)
        elif kind == 1:
            del data[at : at + rng.choice([1, 2, 8, 64])]
        elif kind == 2 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            data[at:at] = data[at : at + rng.choice([4, 16, 64])] * rng.choice([1, 2, 20])
        else:
            data[at : at + 4] = rng.choice(TOKENS)
    return bytes(data[:100_000])


class Fuzzer:
    """One server, many conversations."""

    def __init__(self) -> None:
        self.server = FakeServer(LIMITS)
        self.lobby = Lobby(LIMITS, self.server.host.config.timeouts, methods(self.server.host))
        self.faults: list[str] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.faults.append(str(context.get("exception") or context))
        )

    async def play(self, data: bytes) -> frozenset[bytes]:
        """Hold one conversation; gives what kinds of answers there were. Raises on a finding."""
        connection, transport = Connection(self.lobby), FakeTransport()
        connection.connection_made(transport)  # type: ignore[arg-type]
        for start in range(0, len(data), 1 << 12):
            if transport.closed:
                break
            connection.data_received(data[start : start + (1 << 12)])
        await self.server.idle()
        if not transport.closed:
            connection.tick(time.perf_counter() + 100.0)
        connection.connection_lost(None)
        await self.server.idle()
        assert not self.faults, self.faults
        assert not self.lobby.guests()
        assert self.lobby.reserve(LIMITS.body_bytes_total_max), "the budget did not come back"
        self.lobby.release(LIMITS.body_bytes_total_max)
        return frozenset(kinds_of(bytes(transport.written)))


def kinds_of(written: bytes) -> set[bytes]:
    """What sorts of frames a server wrote; raises when they are not HTTP/2 or tell of a fault."""
    found = set()
    position = 0
    decoder = Decoder(100_000)
    while position < len(written):
        high, low, kind, flags, _ = frames.read_head(written, position)
        begin = position + frames.HEAD_BYTES
        position = begin + (high << 16 | low)
        payload = written[begin:position]
        assert position <= len(written), "a frame is cut short"
        told = b""
        if kind == frames.HEADERS:
            headers = dict(decoder.decode(payload))
            said = headers.get(b"grpc-message", b"")
            assert not any(fault in said for fault in FAULTS), said
            # Messages repeat what the client sent, which would make every one look new.
            words = itertools.takewhile(WORD.fullmatch, NAME.sub(b"NAME", said).split(b" ")[:4])
            told = headers.get(b"grpc-status", b"") + b" " + b" ".join(words)
        elif kind == frames.GOAWAY:
            assert int.from_bytes(payload[4:8]) != frames.INTERNAL_ERROR, payload
            told = payload[4:8] + DIGITS.sub(b"", payload[8:])
        found.add(b"%d %d %b" % (kind, flags, told))
    return found


async def run(seconds: float, seed: int, corpus: Path) -> int:
    """Fuzz for a while; gives the exit code."""
    rng = random.Random(seed)
    pool = kept(corpus)
    fuzzer = Fuzzer()
    seen: set[bytes] = set()
    for data in pool:
        seen |= await fuzzer.play(data)
    end = time.monotonic() + seconds
    played, began_kib, warm = 0, 0, 3000
    while time.monotonic() < end:
        data = conversation(rng, pool)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                kinds = await fuzzer.play(data)
        except Exception as finding:  # noqa: BLE001 - whatever it is, it is a finding
            keep_finding(data, finding)
            return 1
        if not kinds <= seen and len(data) <= 4096:
            seen |= kinds
            pool.append(data)
            (corpus / name_of(data)).write_bytes(data)
        played += 1
        if played == warm:
            began_kib = resident_kib()
    return ended(f"{played} conversations, {len(pool)} in the corpus", began_kib)


if __name__ == "__main__":
    main(__doc__, run, "corpus-grpc")
