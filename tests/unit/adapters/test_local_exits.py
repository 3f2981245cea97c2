"""The cause of an end follows from its evidence."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from prometheus_ai.adapters.drivers.local.exits import (
    exit_from_record,
    exit_without_record,
)
from prometheus_ai.adapters.server_state import start_failure
from prometheus_ai.domain.replica import ExitCause

AT = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN: dict[str, Any] = {
    "ended_at": "2026-01-01T00:00:00Z",
    "code": 1,
    "signal": None,
    "stop_grace_s": None,
    "was_killed": False,
    "oom_kills": 0,
    "memory_over_bytes": None,
    "memory_bytes_peak": 50 * 2**20,
    "exec_error": "",
    "last_log": [],
}


def _failed(code: int, why: str) -> str:
    return json.dumps({"level": "error", "event": "start_failed", "code": code, "error": why})


@pytest.mark.parametrize(
    ("record", "cause", "says"),
    [
        ({"code": 1}, ExitCause.CRASH, "code 1"),
        ({"code": 0}, ExitCause.CRASH, "nobody asked"),
        (
            {"code": 64, "last_log": [_failed(64, "unknown field x")]},
            ExitCause.BAD_CONFIG,
            "field x",
        ),
        ({"code": 65, "last_log": [_failed(65, "no ONNX")]}, ExitCause.LOAD_FAILED, "no ONNX"),
        ({"code": 65}, ExitCause.LOAD_FAILED, "code 65"),
        (
            {"code": 69, "last_log": [_failed(69, "no onnxruntime")]},
            ExitCause.ENGINE_MISSING,
            "onnx",
        ),
        ({"code": 70}, ExitCause.CRASH, "code 70"),
        ({"code": 73, "last_log": [_failed(73, "port taken")]}, ExitCause.CRASH, "port taken"),
        ({"code": None, "signal": "SIGSEGV"}, ExitCause.SIGNAL, "SIGSEGV"),
        ({"code": None, "signal": "SIGKILL", "oom_kills": 1}, ExitCause.OUT_OF_MEMORY, "50 MiB"),
        ({"signal": "SIGKILL", "memory_over_bytes": 2**30}, ExitCause.OUT_OF_MEMORY, "1024 MiB"),
        ({"code": 127, "exec_error": "No such file"}, ExitCause.CRASH, "No such file"),
        ({"code": 0, "stop_grace_s": 30.0}, ExitCause.STOPPED, ""),
        ({"code": 3, "stop_grace_s": 30.0}, ExitCause.STOPPED, "code 3"),
        (
            {"code": None, "signal": "SIGKILL", "stop_grace_s": 2.5, "was_killed": True},
            ExitCause.STOPPED,
            "2.5 s",
        ),
        ({"code": 0, "stop_grace_s": 1.0, "oom_kills": 1}, ExitCause.OUT_OF_MEMORY, "limit"),
    ],
)
def test_each_end_has_its_cause(record: dict[str, Any], cause: ExitCause, says: str) -> None:
    ended = exit_from_record({**PLAIN, **record})
    assert ended.cause is cause
    assert says in ended.message
    assert ended.at == AT


def test_an_end_without_a_record_is_lost_unless_it_was_asked_for() -> None:
    lost = exit_without_record(AT, ["x"], why="the machine restarted", asked=False)
    assert (lost.cause, lost.last_log, lost.is_failure) == (ExitCause.LOST, ("x",), True)
    stopped = exit_without_record(AT, [], why="", asked=True)
    assert not stopped.is_failure


def test_the_last_reason_counts_and_foreign_lines_are_passed_over() -> None:
    lines = [_failed(65, "old"), _failed(65, "new"), '"start_failed" {broken', "bye"]
    assert start_failure(lines) == "new"
    assert start_failure(["nothing"]) == ""
