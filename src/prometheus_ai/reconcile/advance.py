"""Where each release goes next, and which weights may be in force."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prometheus_ai.domain.release import ReleasePhase, ReleaseState
from prometheus_ai.domain.replica import ReplicaRecord
from prometheus_ai.domain.route import WEIGHT_SUM, Weights
from prometheus_ai.reconcile.backoff import is_hopeless, recent_failures
from prometheus_ai.reconcile.view import RUNNING_PHASES, BackendView, ReleaseView, versions_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One release's next state, and why."""

    state: ReleaseState
    reason: str


def advance(view: BackendView, now: datetime) -> tuple[Step, ...]:
    """Return the releases whose state changes."""
    steps = (_advance_one(view, release, now) for release in view.releases)
    return tuple(step for step in steps if step is not None)


def weights_to_serve(view: BackendView) -> Weights:
    """Return the weights that may be in force now.

    Wanted weights come into force all at once, when every release in them is ready.
    Until then the weights in force stay: traffic never moves to a release that cannot take it.
    """
    backend = view.backend
    if backend.is_deleting or not backend.wanted:
        return ()
    states = {release.version: release for release in view.releases}
    for version in versions_of(backend.wanted):
        release = states.get(version)
        if release is None or release.state.phase is not ReleasePhase.READY:
            return backend.in_force
        newly_routed = version not in versions_of(backend.in_force)
        if newly_routed and view.ready_count(release) == 0:
            return backend.in_force
    return backend.wanted


def without_failed(view: BackendView) -> Weights | None:
    """Return wanted weights without releases that failed, or None when nothing has to change."""
    failed = {
        release.version for release in view.releases if release.state.phase is ReleasePhase.FAILED
    }
    if not failed & versions_of(view.backend.wanted):
        return None
    kept = tuple(pair for pair in view.backend.in_force if pair[0] not in failed)
    return rescale(kept)


def rescale(weights: Weights, total: int = WEIGHT_SUM) -> Weights:
    """Scale weights to a sum, keeping their proportions; the largest takes the rounding."""
    before = sum(weight for _, weight in weights)
    if before == 0:
        return ()
    scaled = {version: weight * total // before for version, weight in weights}
    largest = max(scaled, key=lambda version: scaled[version])
    scaled[largest] += total - sum(scaled.values())
    return tuple((version, weight) for version, weight in scaled.items() if weight > 0)


def _advance_one(view: BackendView, release: ReleaseView, now: datetime) -> Step | None:
    state = release.state
    if view.backend.is_deleting:
        return None
    if state.phase is ReleasePhase.STARTING:
        return _advance_starting(view, release, now)
    is_routed = release.version in view.routed_versions()
    if state.phase is ReleasePhase.RETIRED and is_routed:
        wanted = replace(state, replicas_wanted=max(1, state.replicas_wanted))
        return _move(wanted, ReleasePhase.STARTING, now, "it has traffic again")
    if state.phase is not ReleasePhase.READY:
        return None
    if is_routed:
        return (
            Step(state=replace(state, unrouted_since=None), reason="")
            if state.unrouted_since is not None
            else None
        )
    if state.unrouted_since is None:
        return Step(state=replace(state, unrouted_since=now), reason="")
    if now - state.unrouted_since >= timedelta(seconds=release.keep_warm_s):
        return _move(state, ReleasePhase.RETIRED, now, f"no traffic for {release.keep_warm_s:g} s")
    return None


def _advance_starting(view: BackendView, release: ReleaseView, now: datetime) -> Step | None:
    state = release.state
    if view.ready_count(release) >= max(1, state.replicas_wanted):
        return _move(state, ReleasePhase.READY, now, "all replicas are ready")
    since_phase = tuple(
        record for record in release.ended if record.created_at >= state.phase_since
    )
    failures = recent_failures(since_phase, now)
    if is_hopeless(failures):
        failed = _move(state, ReleasePhase.FAILED, now, _explain(failures))
        return replace(failed, state=replace(failed.state, failure=failed.reason))
    return None


def _move(state: ReleaseState, phase: ReleasePhase, now: datetime, reason: str) -> Step:
    moved = replace(
        state,
        phase=phase,
        phase_since=now,
        failure="",
        unrouted_since=None if phase in RUNNING_PHASES else state.unrouted_since,
    )
    return Step(state=moved, reason=reason)


def _explain(failures: tuple[ReplicaRecord, ...]) -> str:
    last = failures[-1].exit
    if last is None:
        return f"{len(failures)} replicas failed"
    how = last.message or (f"signal {last.signal}" if last.signal else f"exit code {last.code}")
    times = "once" if len(failures) == 1 else f"{len(failures)} times"
    return f"its replica failed {times}, last {last.cause.value}: {how}"
