"""Mutated calls find no fault and no leak; the long run is in ``runtime/fuzz``."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime.fuzz.course import HERE, kept
from runtime.fuzz.grpc_fuzz import Fuzzer, conversation

CORPUS = kept(HERE / "corpus-grpc")


def play(*conversations: bytes) -> None:
    async def run() -> None:
        fuzzer = Fuzzer()
        for data in conversations:
            await fuzzer.play(data)

    asyncio.run(run())


def test_the_corpus_is_answered() -> None:
    assert CORPUS
    play(*CORPUS)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_mutated_calls_are_answered(seed: int) -> None:
    rng = random.Random(seed)
    play(*(conversation(rng, CORPUS) for _ in range(20)))


def test_the_fuzzer_notices_a_fault() -> None:
    async def run() -> None:
        fuzzer = Fuzzer()
        loaded = fuzzer.server.model.loaded
        assert loaded is not None
        loaded.model.predict = None  # type: ignore[method-assign, assignment]
        rng = random.Random(0)
        for _ in range(200):
            await fuzzer.play(conversation(rng, []))

    with pytest.raises(AssertionError):
        asyncio.run(run())
