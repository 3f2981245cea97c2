"""Desired and observed replicas of one backend become actions."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_ai.domain.replica import (
    Action,
    CloseRecord,
    DrainReplica,
    Exit,
    ExitCause,
    MarkReady,
    Observed,
    ReplicaGoal,
    ReplicaPhase,
    ReplicaRecord,
    StartReplica,
    StopReplica,
)
from prometheus_ai.reconcile.backoff import recent_failures, retry_at
from prometheus_ai.reconcile.view import RUNNING_PHASES, BackendView, ReleaseView

DRAIN_SETTLE_S = 0.3
"""A drained replica is given this long after it left the routes, for requests already on the way."""
STUCK_GRACE_S = 2.0
LEAVE_DRAIN_S = 10.0
"""A replica whose machine goes away begins to drain this long before, replaced or not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to do now, and when to look again at the latest."""

    actions: tuple[Action, ...]
    look_again_at: datetime | None = None


def plan(view: BackendView, now: datetime) -> Plan:
    """Decide what to do about the replicas of one backend."""
    actions: list[Action] = []
    looks: list[datetime] = []
    for release in view.releases:
        if release.target in view.unreachable:
            continue
        actions.extend(_tend(view, release, now))
        count_actions, look = _count(view, release, now)
        actions.extend(count_actions)
        if look is not None:
            looks.append(look)
    return Plan(actions=tuple(actions), look_again_at=min(looks, default=None))


def wanted_count(view: BackendView, release: ReleaseView) -> int:
    """Return how many replicas of a release should run."""
    if view.backend.is_deleting or release.state.phase not in RUNNING_PHASES:
        return 0
    return release.state.replicas_wanted


def _tend(view: BackendView, release: ReleaseView, now: datetime) -> list[Action]:
    """Look after each replica by itself: close, mark, or end it."""
    actions: list[Action] = []
    for record in release.records:
        if record.id in view.launching:
            continue
        seen = view.observed.get(record.id)
        if seen is None:
            actions.append(
                CloseRecord(id=record.id, target=release.target, exit=_lost(record, now))
            )
        elif seen.phase is ReplicaPhase.EXITED:
            actions.append(
                CloseRecord(id=record.id, target=release.target, exit=_exit_of(record, seen, now))
            )
        elif (action := _tend_living(view, release, record, seen, now)) is not None:
            actions.append(action)
    return actions


def _tend_living(
    view: BackendView,
    release: ReleaseView,
    record: ReplicaRecord,
    seen: Observed,
    now: datetime,
) -> Action | None:
    if record.goal is ReplicaGoal.GONE:
        # Asked before; asking again is harmless, and needed when a crash came between record and effect.
        return StopReplica(
            id=record.id,
            target=release.target,
            grace_s=release.drain_s,
            reason=record.reason,
            cause=record.stop_cause or ExitCause.STOPPED,
        )
    if record.goal is ReplicaGoal.DRAIN:
        return _finish_drain(release, record, seen, now)
    if seen.phase is ReplicaPhase.STUCK:
        return StopReplica(
            id=record.id,
            target=release.target,
            grace_s=STUCK_GRACE_S,
            cause=ExitCause.STUCK,
            reason=f"no progress: {seen.detail or 'liveness failed'}",
        )
    if seen.phase is ReplicaPhase.READY and record.ready_at is None:
        return MarkReady(id=record.id)
    if record.id in view.leaving:
        return _leave(view, release, record, now)
    starting_for = now - seen.started_at
    if seen.phase is ReplicaPhase.STARTING and starting_for > timedelta(seconds=release.startup_s):
        return StopReplica(
            id=record.id,
            target=release.target,
            grace_s=STUCK_GRACE_S,
            cause=ExitCause.STARTUP_TIMEOUT,
            reason=f"not ready {release.startup_s:g} s after its start, still {seen.detail or 'starting'}",
        )
    return None


def _leave(
    view: BackendView, release: ReleaseView, record: ReplicaRecord, now: datetime
) -> Action | None:
    """Drain a noticed replica once others stand in for it, and in any case while there is time for it."""
    by = view.leaving[record.id]
    reason = f"its machine goes away at {by:%H:%M:%S} UTC"
    if not view.is_routable(record):
        grace_s = min(release.drain_s, max(0.0, (by - now).total_seconds()))
        return StopReplica(id=record.id, target=release.target, grace_s=grace_s, reason=reason)
    staying = sum(
        1 for other in release.records if other.id not in view.leaving and view.is_routable(other)
    )
    latest = by - timedelta(seconds=min(release.drain_s, LEAVE_DRAIN_S))
    if staying >= wanted_count(view, release) or now >= latest:
        return DrainReplica(id=record.id, reason=reason)
    return None


def _finish_drain(
    release: ReleaseView, record: ReplicaRecord, seen: Observed, now: datetime
) -> Action | None:
    since = record.drain_since or now
    settled = now - since >= timedelta(seconds=DRAIN_SETTLE_S)
    overdue = now - since >= timedelta(seconds=release.drain_s)
    # The server drains by itself on SIGTERM, so an unknown count needs no more than the settling.
    if overdue or (settled and not seen.requests_active):
        return StopReplica(
            id=record.id,
            target=release.target,
            grace_s=max(release.drain_s, 1.0),
            reason=record.reason or "drained",
        )
    return None


def _count(
    view: BackendView, release: ReleaseView, now: datetime
) -> tuple[list[Action], datetime | None]:
    """Start what is missing, drain what is too many."""
    wanted = wanted_count(view, release)
    living = [record for record in release.records if _lives(view, record)]
    if len(living) > wanted:
        return [_end_one(view, release, record) for record in _victims(view, living, wanted)], None
    if len(living) == wanted:
        return [], None
    allowed_at = retry_at(recent_failures(release.ended, now))
    if allowed_at is not None and allowed_at > now:
        return [], allowed_at
    reason = f"{wanted} wanted, {len(living)} running"
    start = StartReplica(
        backend=view.backend.name, version=release.version, target=release.target, reason=reason
    )
    return [start] * (wanted - len(living)), None


def _lives(view: BackendView, record: ReplicaRecord) -> bool:
    if record.goal is not ReplicaGoal.RUN or record.id in view.leaving:
        return False
    if record.id in view.launching:
        return True
    seen = view.observed.get(record.id)
    return seen is not None and seen.phase not in {ReplicaPhase.EXITED, ReplicaPhase.STUCK}


def _victims(view: BackendView, living: list[ReplicaRecord], wanted: int) -> list[ReplicaRecord]:
    """Pick the least useful replicas: not ready first, then the idlest, then the youngest."""

    def usefulness(record: ReplicaRecord) -> tuple[bool, int, float]:
        seen = view.observed.get(record.id)
        active = (seen.requests_active or 0) if seen is not None else 0
        return (view.is_routable(record), active, -record.created_at.timestamp())

    return sorted(living, key=usefulness)[: len(living) - wanted]


def _end_one(view: BackendView, release: ReleaseView, record: ReplicaRecord) -> Action:
    reason = "the backend is being deleted" if view.backend.is_deleting else "fewer replicas wanted"
    if view.is_routable(record):
        return DrainReplica(id=record.id, reason=reason)
    return StopReplica(id=record.id, target=release.target, grace_s=release.drain_s, reason=reason)


def _lost(record: ReplicaRecord, now: datetime) -> Exit:
    if record.goal is ReplicaGoal.GONE:
        return Exit(cause=record.stop_cause or ExitCause.STOPPED, at=now, message=record.reason)
    return Exit(
        cause=ExitCause.LOST,
        at=now,
        message="its target no longer knows it: the machine restarted, or the start did not complete",
    )


def _exit_of(record: ReplicaRecord, seen: Observed, now: datetime) -> Exit:
    found = seen.exit or Exit(cause=ExitCause.LOST, at=now, message="it ended without a record")
    if record.stop_cause is None:
        return found
    # The control plane ended it: the driver saw only a stop, the record knows the reason.
    return Exit(
        cause=record.stop_cause,
        code=found.code,
        signal=found.signal,
        at=found.at,
        message=record.reason or found.message,
        last_log=found.last_log,
    )
