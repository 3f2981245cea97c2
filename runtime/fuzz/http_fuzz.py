"""Throw mutated requests at the HTTP front and the queue, and keep what finds a new answer.

    python runtime/fuzz/http_fuzz.py --seconds 600

A finding is an exception, an answer that is not HTTP, a status 500, a budget that does not come
back, or memory that grows. It is written to ``findings/`` and the exit code is 1.
"""

import asyncio
import itertools
import json
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from runtime.fuzz.course import ended, keep_finding, kept, main, name_of, resident_kib
from runtime.tests.fakes import FakeServer, parse_responses

from prometheus_ai_runtime.config import Limits

LIMITS = Limits(request_bytes_max=64 * 1024, head_bytes_max=2048, pipelined_max=8)
TOKENS = [
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\0", b":", b" ", b"\t", b",", b"{", b"}", b"[", b"]", b'"'),
    *(b"transfer-encoding: chunked\r\n", b"content-length: 0\r\n", b"content-length: 99\r\n"),
    *(b"expect: 100-continue\r\n", b"content-encoding: gzip\r\n", b"connection: close\r\n"),
    *(b"upgrade: h2c\r\n", b"accept: text/event-stream\r\n", b"content-type: text/csv\r\n"),
    *(
        b"inference-header-content-length: 20\r\n",
        b"x-pai-timeout-ms: 0\r\n",
        b"x-pai-tenant: a\r\n",
        b"x-request-id: 3f1c-07\r\n",
        b"traceparent: 00-4bf9-00f0-01\r\n",
    ),
    *(b"0\r\n\r\n", b"ffffffff\r\n", b"1\r\na\r\n", b"null", b"true", b"1e999", b"NaN", b"-1"),
    *(b"9223372036854775808", b"18446744073709551616", b'"FP32"', b'"BYTES"', b'"BOOL"'),
    *(b'"inputs":', b'"outputs":', b'"shape":', b'"data":', b'"parameters":', b'"id":'),
    *(b'{"binary_data_size":8}', b'{"binary_data":true}', b"\xff\xfe\xfd", b"\xf0\x9f\x99\x82"),
]
ONE_ROW = json.dumps(
    {
        "inputs": [
            {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.0]},
            {"name": "s", "datatype": "BYTES", "shape": [1, 2], "data": ["a", "b"]},
            {"name": "b", "datatype": "BOOL", "shape": [1, 1], "data": [True]},
        ]
    }
).encode()
GOOD = [
    b"POST /v2/models/tiny/infer HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n%b"
    % (further, len(ONE_ROW), ONE_ROW)
    for further in (b"", b"x-request-id: 3f1c-06\r\ntraceparent: 00-4bf8-00f0-01\r\n")
]
NAME = re.compile(rb"`[^`]*`:?|\d+")
WORD = re.compile(rb"[a-zA-Z]{2,}:?")


def mutated(rng: random.Random, pool: list[bytes]) -> bytes:
    """One to eight small changes to a request of the pool."""
    data = bytearray(rng.choice(pool))
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(7)
        if kind == 0:
            data[at:at] = rng.choice(TOKENS)
        elif kind == 1:
            del data[at : at + rng.choice([1, 2, 8, 64])]
        elif kind == 2 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            piece = data[at : at + rng.choice([4, 16, 64])]
            data[at:at] = piece * rng.choice([1, 2, 20])
        elif kind == 4:
            other = rng.choice(pool)
            start = rng.randrange(len(other) + 1)
            data[at:at] = other[start : start + rng.choice([8, 64, 512])]
        elif kind == 5:
            data[at : at + 4] = rng.choice(TOKENS)
        else:
            data += rng.choice(pool)
    return bytes(fixed_length(rng, data)[:100_000])


def fixed_length(rng: random.Random, data: bytearray) -> bytearray:
    """Mostly make the content length right again, so that changes reach what is behind it."""
    head, sign, body = data.partition(b"\r\n\r\n")
    if sign and rng.random() < 0.7:
        head = bytearray(
            re.sub(rb"(?i)content-length: *\d*", b"content-length: %d" % len(body), head)
        )
    return head + sign + body


def split(rng: random.Random, data: bytes) -> Iterator[bytes]:
    """The same bytes in a few pieces, as a network would bring them."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice([0, 0, 0, 1, 3])))
    for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
        if stop > start:
            yield data[start:stop]


class Fuzzer:
    """One server, many conversations."""

    def __init__(self) -> None:
        self.server = FakeServer(LIMITS)
        self.faults: list[str] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.faults.append(str(context.get("exception") or context))
        )

    async def play(
        self, pieces: list[bytes], before: list[bytes] | None = None
    ) -> frozenset[bytes]:
        """Hold one conversation, after requests that are answered one by one.

        Gives what kinds of answers there were. Raises on a finding.
        """
        connection, transport = self.server.connect()
        for request in before or ():
            connection.data_received(request)
            await self.server.idle()
        for piece in pieces:
            if transport.closed:
                break
            connection.data_received(piece)
        await self.server.idle()
        if not transport.closed:
            connection.eof_received()
        connection.tick(time.perf_counter() + 100.0)
        connection.connection_lost(None)
        await self.server.idle()
        assert not self.faults, self.faults
        responses = parse_responses(bytes(transport.written))
        kinds = set()
        for response in responses:
            assert response.status != 500, response.body
            # Other answers repeat what the client sent, and would make every one look new.
            told = response.body if response.status in (400, 413) else b""
            told = NAME.sub(b"NAME", told.removeprefix(b'{"error":"'))
            words = itertools.takewhile(WORD.fullmatch, told.split()[:5])
            kinds.add(b"%d %b" % (response.status, b" ".join(words)))
        door = self.server.door
        assert door.connections() == 0
        assert door.reserve(LIMITS.body_bytes_total_max), "the body budget did not come back"
        door.release(LIMITS.body_bytes_total_max)
        return frozenset(kinds)


def seeds(corpus: Path) -> list[bytes]:
    """The corpus and a few good requests."""
    x = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.0]}
    s = {"name": "s", "datatype": "BYTES", "shape": [1, 2], "data": ["a", "b"]}
    b = {"name": "b", "datatype": "BOOL", "shape": [1, 1], "data": [True]}
    body = json.dumps({"id": "1", "inputs": [x, s, b], "outputs": [{"name": "y"}]}).encode()
    rows = json.dumps([{"x": [1, 2], "s": ["a"], "b": True}]).encode()
    raw_head = json.dumps(
        {"inputs": [{**x, "data": None, "parameters": {"binary_data_size": 8}}, s, b]}
    ).encode()
    post = b"POST %b HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n%b"
    split_at = b"inference-header-content-length: %d\r\n" % len(raw_head)
    infer = b"/v2/models/tiny/infer"
    chunked = (
        b"POST %b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    )
    return [
        *kept(corpus),
        *GOOD,
        post % (infer, b"", len(body), body),
        post % (infer, split_at, len(raw_head) + 8, raw_head + b"\0" * 8),
        post % (b"/tiny/predict", b"", len(rows), rows),
        post % (b"/tiny/predict", b"accept: text/event-stream\r\n", len(rows), rows),
        post % (b"/v2/repository/index", b"", 0, b""),
        chunked % (infer, len(body), body),
        b"GET /v2/models/tiny HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    ]


async def run(seconds: float, seed: int, corpus: Path) -> int:
    """Fuzz for a while; gives the exit code."""
    rng = random.Random(seed)
    pool = seeds(corpus)
    fuzzer = Fuzzer()
    seen: set[bytes] = set()
    for data in pool:
        seen |= await fuzzer.play([data])
    end = time.monotonic() + seconds
    played, began_kib, warm = 0, 0, 3000
    while time.monotonic() < end:
        data = mutated(rng, pool)
        pieces = list(split(rng, data))
        # What was said before is remembered, and the same again read in another way.
        before = [rng.choice(GOOD)] * 2 if rng.random() < 0.3 else []
        try:
            kinds = await fuzzer.play(pieces, before)
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
    main(__doc__, run, "corpus")
