"""From the engine's record of an end to its cause; pure."""

import signal
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_ai.adapters.server_state import CAUSES, start_failure
from prometheus_ai.domain.replica import Exit, ExitCause

NEVER = "0001-01-01"


def time_of(text: str) -> datetime | None:
    """Return the engine's time, or None for the one that it writes for never."""
    if not text or text.startswith(NEVER):
        return None
    head, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{rest[:6]:0<6}").replace(tzinfo=UTC)


def exit_of(
    state: Mapping[str, Any], last_log: Sequence[str], *, asked: bool, engine_was_away: bool
) -> Exit:
    """Describe how a container ended, from ``State`` of its inspection."""
    status = int(state.get("ExitCode", 0))
    name = _signal_name(status)
    cause, message = _judge(state, name, last_log, asked=asked, engine_was_away=engine_was_away)
    return Exit(
        cause=cause,
        code=None if name else status,
        signal=name,
        message=message,
        last_log=tuple(last_log),
        at=time_of(str(state.get("FinishedAt", ""))) or datetime.fromtimestamp(0, UTC),
    )


def _judge(
    state: Mapping[str, Any],
    name: str | None,
    last_log: Sequence[str],
    *,
    asked: bool,
    engine_was_away: bool,
) -> tuple[ExitCause, str]:
    code, problem = int(state.get("ExitCode", 0)), str(state.get("Error", ""))
    if state.get("OOMKilled"):
        return ExitCause.OUT_OF_MEMORY, "reached its memory limit and was killed"
    if asked:
        return ExitCause.STOPPED, _stopped(code, name)
    if engine_was_away:
        return ExitCause.LOST, "the Docker Engine ended it while it was itself away or restarting"
    if problem:
        return ExitCause.CRASH, f"the Docker Engine could not run it: {problem}"
    if name:
        return ExitCause.SIGNAL, f"ended by {name}"
    said = start_failure(last_log)
    if code in CAUSES:
        return CAUSES[code], said or f"ended with code {code}"
    if code == 0:
        return ExitCause.CRASH, "ended by itself with code 0, though nobody asked it to stop"
    return ExitCause.CRASH, said or f"ended with code {code}"


def _stopped(code: int, name: str | None) -> str:
    if name == "SIGKILL":
        return "did not finish in time and was killed"
    if name is None and code != 0:
        return f"ended with code {code} while stopping"
    return ""


def _signal_name(code: int) -> str | None:
    """Return the signal behind a status above 128, which is how containers report one."""
    try:
        return signal.Signals(code - 128).name if code > 128 else None
    except ValueError:
        return None
