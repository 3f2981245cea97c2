"""From the gateway's counters to what candidate and baseline did side by side."""

from dataclasses import replace
from datetime import datetime, timedelta

from prometheus_ai.control.answers.told import take
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_memory import Held
from prometheus_ai.domain.evidence import Arm, Interval
from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.rollout import RolloutState
from prometheus_ai.domain.window import CounterSnapshot, Window
from prometheus_ai.ports.state_store import Reading
from prometheus_ai.telemetry import merge_windows, windows_between

HISTORY = timedelta(hours=1)


def history(reading: Reading, backend: str, version: str, now: datetime) -> Arm:
    """Return what a release did in the hour before."""
    found = merge_windows(
        window for window in reading.windows(now - HISTORY, backend) if window.version == version
    )
    return _arm(found[0]) if found else Arm()


def interval(
    plane: Plane,
    backend: str,
    held: Held,
    span: tuple[CounterSnapshot, CounterSnapshot],
    policy: RolloutSpec,
) -> Interval:
    """Return what both releases did between two readings."""
    before, after = span
    windows = {
        window.version: window
        for window in windows_between(before, after)
        if window.backend == backend
    }
    state = held.state
    unfit = _unfit(plane, backend, held, policy, before.at)
    told = take(plane.hearing, backend, is_fit=not unfit)
    return Interval(
        start=before.at,
        end=max(after.at, before.at),
        candidate=_arm(windows.get(state.candidate), told.arms.get(state.candidate)),
        baseline=_arm(windows.get(state.stable or ""), told.arms.get(state.stable or "")),
        weight=_share(state),
        crashes=_crashes(plane, backend, state.candidate, (before.at, after.at)),
        baseline_crashes=_crashes(plane, backend, state.stable or "", (before.at, after.at)),
        compared=told.compared,
        disagreed=told.disagreed,
        unfit=unfit,
    )


def _share(state: RolloutState) -> float:
    """Return the candidate's share of all that is answered: its weight, and the copies it gets besides."""
    weight, mirror = state.weight / 100, state.mirror / 100
    return (weight + mirror) / (1 + mirror)


def _arm(window: Window | None, told: Arm | None = None) -> Arm:
    known = told or Arm()
    if window is None:
        return known
    return replace(
        known,
        requests=window.requests,
        errors=window.errors,
        client_errors=window.client_errors,
        rejected=window.rejected,
        latency_s=window.latency_s,
    )


def _crashes(plane: Plane, backend: str, version: str, span: tuple[datetime, datetime]) -> int:
    """Count each end once: in the interval that it falls in."""
    with plane.store.read() as reading:
        ended = [
            record
            for record in reading.ended_replicas(span[0], backend)
            if record.ended_at is not None and record.ended_at < span[1]
        ]
    return sum(
        1
        for record in ended
        if record.version == version and record.exit is not None and record.exit.is_failure
    )


def _unfit(plane: Plane, backend: str, held: Held, policy: RolloutSpec, start: datetime) -> str:
    given_at = held.state.given_at
    if given_at is None:
        return "the step has no traffic yet"
    if start < given_at:
        return "the weights changed"
    warm_up = timedelta(seconds=policy.gates.warm_up_s)
    if start < given_at + warm_up:
        return "warm-up"
    with plane.store.read() as reading:
        records = reading.open_replicas(backend)
    fresh = (
        record.id
        for record in records
        if record.version == held.state.candidate
        and record.ready_at is not None
        and start < record.ready_at + warm_up
    )
    new = next(fresh, "")
    return f"warm-up of {new}" if new else ""
