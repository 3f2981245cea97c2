"""Do both releases fail at the same moment? Then it is what they share that fails: their host, or what they call.

Replicas of one target share a machine. When the old release, which was well until now, suddenly fails as the
candidate does, neither is judged by that stretch of time. A candidate that goes on failing once the old
release is well again has no such excuse.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from prometheus_ai.analysis.exact import binomial_tail
from prometheus_ai.domain.evidence import Attribution, FaultOwner, Interval, ReplicaTally

RECENT_S = 10.0
"""Memory of what counts as the same moment."""
_FAILURES_MIN = 3
_RATE_MIN = 0.1
"""A release that fails less often is judged as always: both sides are counted, and compared."""
_CHANCE = 1e-6
_LEAST = 1e-4
"""However well the old release was, this share of failures is thought usual."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TogetherState:
    """What both releases did lately, and what is usual for the old one."""

    usual_requests: int = 0
    usual_errors: int = 0
    requests: float = 0.0
    errors: float = 0.0
    baseline_requests: float = 0.0
    baseline_errors: float = 0.0
    """Lately; older ones fade."""


def watch_both(state: TogetherState, interval: Interval) -> TogetherState:
    """Return the state after one interval; what is usual is learned only while the old release is well."""
    span_s = (interval.end - interval.start).total_seconds()
    fade = math.exp(-span_s / RECENT_S)
    ours, theirs = interval.candidate, interval.baseline
    seen = replace(
        state,
        requests=state.requests * fade + ours.requests,
        errors=state.errors * fade + ours.errors,
        baseline_requests=state.baseline_requests * fade + theirs.requests,
        baseline_errors=state.baseline_errors * fade + theirs.errors,
    )
    if fails_together(seen):
        return seen
    return replace(
        seen,
        usual_requests=state.usual_requests + theirs.requests,
        usual_errors=state.usual_errors + theirs.errors,
    )


def fails_together(state: TogetherState) -> bool:
    """Whether the old release suddenly fails, and about as often as the candidate."""
    errors, requests = round(state.baseline_errors), round(state.baseline_requests)
    if errors < _FAILURES_MIN or state.errors < 1 or state.usual_requests == 0:
        return False
    theirs = state.baseline_errors / state.baseline_requests
    ours = state.errors / state.requests
    if theirs < _RATE_MIN or theirs * 2 < ours:
        return False
    usual = max(_LEAST, (state.usual_errors + 0.5) / (state.usual_requests + 1))
    return usual < theirs and binomial_tail(errors, max(errors, requests), usual) < _CHANCE


def blame_together(
    state: TogetherState, candidate: Sequence[ReplicaTally], baseline: Sequence[ReplicaTally]
) -> Attribution | None:
    """Return the host as the one to blame, while both fail together; None while they do not."""
    if not fails_together(state):
        return None
    shared = {tally.host for tally in candidate} & {tally.host for tally in baseline} - {""}
    host = min(shared, default="")
    place = f" on {host}" if host else ""
    return Attribution(
        owner=FaultOwner.HOST,
        subject=host,
        detail=f"both versions fail together{place}: lately {round(state.errors)} of"
        f" {round(state.requests)} and {round(state.baseline_errors)} of"
        f" {round(state.baseline_requests)} requests, while {_usual(state)} of the old release's are usual",
    )


def _usual(state: TogetherState) -> str:
    return f"{state.usual_errors / max(1, state.usual_requests):.1%}"
