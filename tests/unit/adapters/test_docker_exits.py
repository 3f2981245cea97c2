"""The cause of a container's end follows from the engine's record."""

from datetime import UTC, datetime
from typing import Any

import pytest

from prometheus_ai.adapters.drivers.docker.exits import exit_of, time_of
from prometheus_ai.domain.replica import Exit, ExitCause

FAILED = '{"level": "error", "event": "start_failed", "code": 65, "error": "the file is no model"}'


def judged(*log: str, asked: bool = False, engine_was_away: bool = False, **state: Any) -> Exit:
    plain = {"ExitCode": 0, "OOMKilled": False, "FinishedAt": "2026-03-01T12:00:00.123456789Z"}
    return exit_of({**plain, **state}, log, asked=asked, engine_was_away=engine_was_away)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (64, ExitCause.BAD_CONFIG),
        (65, ExitCause.LOAD_FAILED),
        (69, ExitCause.ENGINE_MISSING),
        (1, ExitCause.CRASH),
        (0, ExitCause.CRASH),
        (137, ExitCause.SIGNAL),
        (139, ExitCause.SIGNAL),
    ],
)
def test_a_code_has_a_cause(code: int, cause: ExitCause) -> None:
    assert judged(ExitCode=code).cause is cause


def test_the_server_s_own_words_are_the_message() -> None:
    ended = judged("loading", FAILED, ExitCode=65)
    assert ended.message == "the file is no model"
    assert ended.last_log == ("loading", FAILED)
    assert ended.at == datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def test_a_signal_is_named() -> None:
    ended = judged(ExitCode=139)
    assert (ended.signal, ended.code) == ("SIGSEGV", None)


def test_memory_comes_before_all() -> None:
    assert judged(ExitCode=137, OOMKilled=True).cause is ExitCause.OUT_OF_MEMORY


def test_an_asked_end_is_no_failure() -> None:
    drained, killed = judged(asked=True), judged(asked=True, ExitCode=137)
    assert not drained.is_failure
    assert drained.message == ""
    assert killed.cause is ExitCause.STOPPED
    assert killed.signal == "SIGKILL"
    assert "killed" in killed.message


def test_what_ended_while_the_engine_was_away_is_lost() -> None:
    assert judged(ExitCode=0, engine_was_away=True).cause is ExitCause.LOST


def test_the_engine_s_own_fault_is_told() -> None:
    assert "no such device" in judged(ExitCode=128, Error="no such device").message


def test_never_is_no_time() -> None:
    assert time_of("0001-01-01T00:00:00Z") is None
    assert time_of("2026-03-01T12:00:00Z") == datetime(2026, 3, 1, 12, tzinfo=UTC)
