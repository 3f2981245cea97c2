"""Mutated requests find no exception, no status 500 and no leak; the long run is in ``runtime/fuzz``."""

import asyncio
import random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from runtime.fuzz.course import HERE
from runtime.fuzz.http_fuzz import Fuzzer, mutated, seeds, split
from runtime.tests.fakes import parse_responses
from runtime.tests.unit.test_repeated_requests import Doubler

from prometheus_ai_runtime.config import Batching

CORPUS = seeds(HERE / "corpus")


def play(*conversations: list[bytes]) -> None:
    async def run() -> None:
        fuzzer = Fuzzer()
        for pieces in conversations:
            await fuzzer.play(pieces)

    asyncio.run(run())


def test_the_corpus_is_answered() -> None:
    play(*([data] for data in CORPUS))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_mutated_requests_are_answered(seed: int) -> None:
    rng = random.Random(seed)
    play(*(list(split(rng, mutated(rng, CORPUS))) for _ in range(20)))


@given(data=st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_answered(data: bytes) -> None:
    play([data], [b"POST /tiny/predict HTTP/1.1\r\nhost: x\r\n" + data])


@given(cuts=st.lists(st.integers(0, 2000), max_size=8), which=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_how_bytes_arrive_does_not_matter(cuts: list[int], which: random.Random) -> None:
    """The same conversation in other pieces has the same answers, but for what differs in time."""
    data = b"".join(which.choice(CORPUS) for _ in range(3))
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a < b]

    async def statuses(*parts: bytes) -> list[int]:
        fuzzer = Fuzzer()
        connection, transport = fuzzer.server.connect()
        for part in parts:
            if not transport.closed:
                connection.data_received(part)
        await fuzzer.server.idle()
        connection.connection_lost(None)
        return [r.status for r in parse_responses(bytes(transport.written))]

    assert asyncio.run(statuses(data)) == asyncio.run(statuses(*pieces))


def test_the_fuzzer_notices_a_status_500() -> None:
    async def run() -> None:
        fuzzer = Fuzzer()
        loaded = fuzzer.server.model.loaded
        assert loaded is not None
        loaded.model.predict = None  # type: ignore[method-assign, assignment]
        for good in (data for data in CORPUS if data.startswith(b"POST /tiny/predict")):
            await fuzzer.play([good])

    with pytest.raises(AssertionError):
        asyncio.run(run())


IDS = [b"", b"x-request-id: 3f1c-07\r\n", b"X-Request-Id: 3f1c-08\r\ntraceparent: 00-4bf9\r\n"]


def numbers(values: str, further: bytes) -> bytes:
    text = (
        b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[%b]}]}' % values.encode()
    )
    head = b"POST /v2/models/doubler/infer HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n"
    return head % (further, len(text)) + text


@given(seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_what_went_before_does_not_matter(seed: int) -> None:
    """A request is answered alike by the short way, which remembers, and by the long way, which reads."""
    rng = random.Random(seed)
    usual = numbers("1.5,2.0", rng.choice(IDS))
    data = mutated(rng, [usual])

    async def answers(before: list[bytes], pieces: list[bytes]) -> list[Any]:
        fuzzer = Fuzzer()
        fuzzer.server.add_model("doubler", Doubler(), Batching())
        connection, transport = fuzzer.server.connect()
        for one in before:
            connection.data_received(one)
            await fuzzer.server.idle()
        for piece in pieces:
            if not transport.closed:
                connection.data_received(piece)
        await fuzzer.server.idle()
        connection.connection_lost(None)
        found = parse_responses(bytes(transport.written))[len(before) :]
        given_ids = [r.headers.get("x-request-id", "") for r in found]
        # Ids that the server makes differ each time.
        ids = [one if one.startswith(("3f1c", "0")) and "-" in one[:5] else "" for one in given_ids]
        return [(r.status, r.body, one) for r, one in zip(found, ids, strict=True)]

    one_by_one = [data[at : at + 1] for at in range(len(data))]
    assert asyncio.run(answers([usual] * 2, [data])) == asyncio.run(answers([], one_by_one))
