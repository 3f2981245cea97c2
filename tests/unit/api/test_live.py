"""Builds tell what happens while they go on, and always how they ended."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from prometheus_ai.api.follow import EVENTS_WAITING_MAX, live
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.image import BuildEvent, BuildRecord

Say = Callable[[BuildEvent], None]
RECORD = BuildRecord(
    image="sha256:1", tag="a:1", plan="sha256:2", took_s=1, at=datetime(2026, 1, 1, tzinfo=UTC)
)


def told(build: Callable[[Say], BuildRecord]) -> list[dict[str, Any]]:
    async def read() -> list[bytes]:
        return [bytes(chunk) async for chunk in live(build).body_iterator]  # type: ignore[arg-type]

    lines = b"".join(asyncio.run(read())).splitlines()
    return [json.loads(line) for line in lines if line]


def event(number: int) -> BuildEvent:
    return BuildEvent(kind="done", step=f"step {number}", number=number, took_s=1.5)


def test_events_come_before_what_was_built() -> None:
    def build(say: Say) -> BuildRecord:
        say(event(1))
        say(event(2))
        return RECORD

    found = told(build)
    assert [one["event"]["line"] for one in found[:-1]] == ["step 1 (1.5 s)", "step 2 (1.5 s)"]
    assert found[-1]["built"]["tag"] == "a:1"


def test_a_failed_build_ends_with_its_error_and_status() -> None:
    def build(_: Say) -> BuildRecord:
        raise InvalidInput("no such package", hint="look")

    (end,) = told(build)
    assert end["status"] == 422
    assert end["error"]["message"] == "no such package"


def test_a_fault_of_our_own_is_told_without_its_words() -> None:
    def build(_: Say) -> BuildRecord:
        raise KeyError("secret")

    (end,) = told(build)
    assert end["status"] == 500
    assert "secret" not in json.dumps(end)


def test_a_slow_reader_loses_old_news_but_not_the_result() -> None:
    def build(say: Say) -> BuildRecord:
        for number in range(3 * EVENTS_WAITING_MAX):
            say(event(number))
        return RECORD

    found = told(build)
    assert "built" in found[-1]
