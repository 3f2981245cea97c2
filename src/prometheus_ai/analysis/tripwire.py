"""What needs no statistics: failures in a row, never a success, a crash loop."""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prometheus_ai.domain.evidence import Interval
from prometheus_ai.domain.policy import TripwireSpec

_CHANCE = 1e-8
"""A run of failures this unlikely at the baseline's rate is no bad luck."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TripState:
    """Everything that the tripwire remembers."""

    in_row: int = 0
    answered: int = 0
    succeeded: bool = False
    crashes: tuple[datetime, ...] = ()
    baseline_crashes: tuple[datetime, ...] = ()
    baseline_requests: int = 0
    baseline_errors: int = 0


def watch(state: TripState, interval: Interval, limits: TripwireSpec) -> TripState:
    """Return the state after one interval, also one that judges nobody."""
    arm = interval.candidate
    all_failed = arm.requests > 0 and arm.errors >= arm.requests
    in_row = state.in_row + arm.errors if all_failed else state.in_row
    return replace(
        state,
        in_row=in_row if all_failed or arm.requests == 0 else 0,
        answered=state.answered + arm.requests,
        succeeded=state.succeeded or arm.requests > arm.errors,
        crashes=_recent(state.crashes, interval.crashes, interval.end, limits),
        baseline_crashes=_recent(
            state.baseline_crashes, interval.baseline_crashes, interval.end, limits
        ),
        baseline_requests=state.baseline_requests + interval.baseline.requests,
        baseline_errors=state.baseline_errors + interval.baseline.errors,
    )


def tripped(
    state: TripState, limits: TripwireSpec, now: datetime, *, is_shared: bool = False
) -> str:
    """Return why to roll back at once; empty when there is no reason to.

    ``is_shared`` says that both releases fail at this moment: then failures in a row tell nothing of one of
    them, and neither do ends of replicas where as many of the old release's ended.
    """
    recent = _recent(state.crashes, 0, now, limits)
    others = _recent(state.baseline_crashes, 0, now, limits)
    if len(recent) >= limits.crashes and len(others) < len(recent):
        return f"{len(recent)} replicas ended by themselves within {limits.crash_s:g} s"
    if is_shared:
        return ""
    needed = failures_needed(state, limits)
    if state.in_row >= needed:
        return f"{state.in_row} requests failed in a row ({needed} are no bad luck any more)"
    first = max(limits.first_requests, needed)
    if not state.succeeded and state.answered >= first:
        return f"none of its first {state.answered} requests succeeded"
    return ""


def failures_needed(state: TripState, limits: TripwireSpec) -> int:
    """Return how long a run of failures must be, given how often the baseline fails."""
    rate = (state.baseline_errors + 0.5) / (state.baseline_requests + 1)
    if rate >= 0.999:
        return 1 << 30
    return max(limits.failures_in_row, math.ceil(math.log(_CHANCE) / math.log(rate) - 1e-9))


def _recent(
    known: tuple[datetime, ...], more: int, now: datetime, limits: TripwireSpec
) -> tuple[datetime, ...]:
    """Return the newest crashes of the window, ``more`` of them from this moment."""
    since = now - timedelta(seconds=limits.crash_s)
    crashes = (*known, *([now] * min(more, limits.crashes)))
    return tuple(at for at in crashes if at > since)[-limits.crashes :]
