"""What a plan stands on: measured demand and start-up times, and the room on the target."""

import statistics
from datetime import datetime, timedelta

from prometheus_ai.analysis import bars_of, requests_to_clear
from prometheus_ai.control.loop.starts import starts_of
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_memory import active
from prometheus_ai.control.room import free_room, size_of
from prometheus_ai.domain.cold_start import typical_s
from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.release import Release, ReleaseState
from prometheus_ai.domain.spec import Spec
from prometheus_ai.domain.window import Window
from prometheus_ai.ports.state_store import Reading
from prometheus_ai.rollout import Ground

DEMAND_SPAN = timedelta(hours=1)
"""The busiest moment in this span is what must be carried."""
RATE_SPAN = timedelta(minutes=5)
START_SPAN = timedelta(days=7)
START_UNKNOWN_S = 10.0
SLOW_SHARES = (0.05, 0.01)
"""What is slower than the baseline's own p95 and p99."""


def ground_for(plane: Plane, reading: Reading, spec: Spec, policy: RolloutSpec) -> Ground:
    """Measure what a rollout of this spec would stand on."""
    now = plane.clock.now()
    backend = reading.backend(spec.name)
    stable = _stable(plane, spec.name, backend.stable if backend is not None else None)
    states = {state.version: state for state in reading.release_states(spec.name)}
    before = reading.release(spec.name, stable) if stable is not None else None
    windows = reading.windows(now - DEMAND_SPAN, spec.name)
    scaling = spec.scaling
    return Ground(
        stable_replicas=_running(plane, spec.name, states.get(stable or "")),
        stable_size=size_of(before.spec if before is not None else spec),
        candidate_size=size_of(spec),
        free=free_room(plane, reading, spec.target),
        candidate_whole=_whole(spec, before),
        demand=max((_in_flight(window) for window in windows), default=0.0),
        per_replica=(scaling.concurrency or 0.0) if scaling is not None else 0.0,
        utilisation=scaling.utilisation if scaling is not None else 0.7,
        start_s=start_s(plane, reading, (spec.name, stable or ""), now),
        rate_per_s=_rate_per_s(windows, now),
        requests_to_decide=_requests_to_decide(windows, policy),
    )


def start_s(plane: Plane, reading: Reading, key: tuple[str, str], now: datetime) -> float:
    """Return how long a replica takes to start: by the ledger, else the median of the backend's last ones."""
    ledger = starts_of(plane, reading, key)
    if ledger:
        return round(typical_s(ledger), 3)
    records = (*reading.open_replicas(key[0]), *reading.ended_replicas(now - START_SPAN, key[0]))
    known = [
        (record.ready_at - record.created_at).total_seconds()
        for record in records
        if record.ready_at is not None
    ]
    return round(statistics.median(known), 3) if known else START_UNKNOWN_S


def _stable(plane: Plane, name: str, stable: str | None) -> str | None:
    """Return which release the next rollout would start from: a candidate that bakes has passed."""
    held = active(plane, name)
    return held.state.stable if held is not None and held.state.weight < 100 else stable


def _running(plane: Plane, name: str, state: ReleaseState | None) -> int:
    """Return how many replicas the stable release has when it is whole."""
    if state is None:
        return 0
    held = active(plane, name)
    whole = held.state.plan.stable_replicas if held is not None and held.state.plan.is_swap else 0
    # A release that sleeps has one again as soon as it is asked.
    return max(1, state.replicas_wanted, whole)


def _whole(spec: Spec, before: Release | None) -> int:
    """Return the replicas that the spec asks for, where that changed; else the running number goes on."""
    if before is None or spec.scaling is not None or spec.replicas == before.spec.replicas:
        return 0
    return spec.replicas


def _in_flight(window: Window) -> float:
    """Return the mean number of requests inside: their time over the window's (Little's law)."""
    span_s = (window.end - window.start).total_seconds()
    return window.latency_s.sum / span_s if span_s > 0 else 0.0


def _rate_per_s(windows: list[Window], now: datetime) -> float:
    recent = [window for window in windows if window.end > now - RATE_SPAN]
    if not recent:
        return 0.0
    span_s = (now - min(window.start for window in recent)).total_seconds()
    return sum(window.requests for window in recent) / span_s if span_s > 0 else 0.0


def _requests_to_decide(windows: list[Window], policy: RolloutSpec) -> int:
    """Return the candidate's requests that clear it at the baseline's own rates, over all gates."""
    requests = sum(window.requests for window in windows)
    errors = sum(window.errors for window in windows)
    share = _first_percent(policy) / 100
    gates = policy.gates
    rate = (errors + 0.5) / (requests + 1) if requests else gates.errors.negligible / 2
    needed = [requests_to_clear(rate, share, gates.errors, bars_of(gates, "errors"))]
    needed.extend(
        requests_to_clear(slow, share, gates.latency, bars_of(gates, "latency"))
        for slow in SLOW_SHARES
    )
    known = [count for count in needed if count is not None]
    return max(policy.step_requests, *known) if known else policy.step_requests


def _first_percent(policy: RolloutSpec) -> float:
    if policy.strategy == "ab":
        return policy.percent
    return min(policy.steps[0], 99.0) if policy.strategy != "blue-green" else 50.0
