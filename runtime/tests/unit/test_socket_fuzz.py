"""Clients that break off, stall and do not read leave nothing behind; the long run is in ``runtime/fuzz``."""

import asyncio

import pytest
from runtime.fuzz.course import HERE
from runtime.fuzz.http_fuzz import GOOD, seeds
from runtime.fuzz.socket_fuzz import Fuzzer, files, served_loop

POOL = [data for data in seeds(HERE / "corpus") if len(data) <= 4096]


def play(*numbers: int, pool: list[bytes] = POOL, works: bool = True) -> int:
    async def run() -> int:
        fuzzer = Fuzzer()
        await fuzzer.open()
        loaded = fuzzer.server.model.loaded
        assert loaded is not None
        if not works:
            loaded.model.predict = None  # type: ignore[method-assign, assignment]
        open_before = files()
        try:
            for number in numbers:
                await fuzzer.play(number, pool)
                assert files() <= open_before
        finally:
            fuzzer.close()
        return fuzzer.answered

    with asyncio.Runner(loop_factory=served_loop) as runner:
        return runner.run(run())


def test_unruly_clients_leave_nothing_behind() -> None:
    assert play(*range(6)) > 0


def test_the_fuzzer_notices_a_status_500() -> None:
    with pytest.raises(AssertionError):
        play(*range(20), pool=GOOD, works=False)
