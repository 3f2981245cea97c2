"""When to try again after a replica failed, and when to give up."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from prometheus_ai.domain.replica import ExitCause, ReplicaRecord

FIRST_DELAY_S = 0.5
DELAY_MAX_S = 60.0
MEMORY_S = 600.0
"""Failures older than this no longer count."""
STEADY_S = 60.0
"""A replica that was ready this long before it failed starts a new count."""
ATTEMPTS_MAX = 3
"""Failed first starts before a release that was never ready is given up."""

_HOPELESS = frozenset({ExitCause.LOAD_FAILED, ExitCause.ENGINE_MISSING, ExitCause.BAD_CONFIG})
"""Causes that trying again does not cure."""


def recent_failures(ended: Sequence[ReplicaRecord], now: datetime) -> tuple[ReplicaRecord, ...]:
    """Return the unbroken run of recent failures, oldest first."""
    run: list[ReplicaRecord] = []
    for record in reversed(ended):
        if record.exit is None or not record.exit.is_failure or record.ended_at is None:
            continue
        if now - record.ended_at > timedelta(seconds=MEMORY_S):
            break
        run.append(record)
        if record.ready_at is not None and record.ended_at - record.ready_at > timedelta(
            seconds=STEADY_S
        ):
            break
    return tuple(reversed(run))


def retry_at(failures: Sequence[ReplicaRecord]) -> datetime | None:
    """Return the earliest time of the next start; None when it may be at once."""
    if not failures or failures[-1].ended_at is None:
        return None
    delay_s = min(FIRST_DELAY_S * 2 ** (len(failures) - 1), DELAY_MAX_S)
    return failures[-1].ended_at + timedelta(seconds=delay_s)


def is_hopeless(failures: Sequence[ReplicaRecord]) -> bool:
    """Whether a release that was never ready should be given up."""
    if len(failures) >= ATTEMPTS_MAX:
        return True
    return any(record.exit is not None and record.exit.cause in _HOPELESS for record in failures)
