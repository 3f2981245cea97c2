"""From the evidence of an end to its cause; pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from prometheus_ai.adapters.server_state import CAUSES, start_failure
from prometheus_ai.domain.replica import Exit, ExitCause


def exit_from_record(record: Mapping[str, Any]) -> Exit:
    """Turn the shim's record into an exit with its cause and a message for people."""
    cause, message = _judge(record)
    return Exit(
        cause=cause,
        code=record["code"],
        signal=record["signal"],
        message=message,
        last_log=tuple(record["last_log"]),
        at=datetime.fromisoformat(record["ended_at"]),
    )


def exit_without_record(at: datetime, last_log: Sequence[str], *, why: str, asked: bool) -> Exit:
    """Describe an end that nobody wrote down."""
    cause = ExitCause.STOPPED if asked else ExitCause.LOST
    return Exit(cause=cause, message=why, last_log=tuple(last_log), at=at)


def _judge(record: Mapping[str, Any]) -> tuple[ExitCause, str]:
    code, signal = record["code"], record["signal"]
    peak = f"{record['memory_bytes_peak'] / 2**20:.0f} MiB at its peak"
    if record["memory_over_bytes"] is not None:
        over = f"{record['memory_over_bytes'] / 2**20:.0f} MiB"
        return ExitCause.OUT_OF_MEMORY, f"used {over}, more than its memory limit, and was killed"
    if record["oom_kills"]:
        return ExitCause.OUT_OF_MEMORY, f"reached its memory limit and was killed; it used {peak}"
    if record["exec_error"]:
        return ExitCause.CRASH, f"the model server could not be started: {record['exec_error']}"
    if record["stop_grace_s"] is not None:
        return ExitCause.STOPPED, _stopped_message(record)
    if signal is not None:
        return ExitCause.SIGNAL, f"ended by {signal}; it used {peak}"
    said = start_failure(record["last_log"])
    if code in CAUSES:
        return CAUSES[code], said or f"ended with code {code}"
    if code == 0:
        return ExitCause.CRASH, "ended by itself with code 0, though nobody asked it to stop"
    return ExitCause.CRASH, said or f"ended with code {code}"


def _stopped_message(record: Mapping[str, Any]) -> str:
    if record["was_killed"]:
        return f"did not finish within {record['stop_grace_s']:g} s and was killed"
    if record["code"] not in (0, None):
        return f"ended with code {record['code']} while stopping"
    return ""
