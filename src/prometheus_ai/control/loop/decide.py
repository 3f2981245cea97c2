"""One decision: look, advance releases, settle routes, plan replicas, record it all, tell the gateway.

Effects on replicas come back to the caller, who runs them after the plane's lock is free.
Every effect is idempotent and was recorded first, so a crash between record and effect is made good by the next pass.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.loop import publish
from prometheus_ai.control.loop.effects import Effect, Forget, Launch, Stop
from prometheus_ai.control.loop.look import Specs, sight, views
from prometheus_ai.control.loop.starts import forget_starts
from prometheus_ai.control.plane import Plane, Sight
from prometheus_ai.control.room import starts_that_fit
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.release import ReleasePhase
from prometheus_ai.domain.replica import (
    Action,
    CloseRecord,
    DrainReplica,
    MarkReady,
    ReplicaGoal,
    ReplicaPhase,
    ReplicaRecord,
    StartReplica,
    StopReplica,
)
from prometheus_ai.ports.state_store import Reading, Writing
from prometheus_ai.reconcile import BackendView, Step, advance, plan, without_failed

ACTOR = "control-plane"
STRAY_GRACE_S = 5.0

_PHASE_EVENTS = {
    ReleasePhase.READY: Kind.RELEASE_READY,
    ReleasePhase.FAILED: Kind.RELEASE_FAILED,
    ReleasePhase.RETIRED: Kind.RELEASE_RETIRED,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What is to be done now, and when to look again at the latest."""

    effects: tuple[Effect, ...]
    look_again_at: datetime | None = None
    unprepared: tuple[tuple[str, str], ...] = ()
    """Releases, as (backend, version), that wait for their environment."""
    gone: tuple[str, ...] = ()
    """Backends being deleted that have no replica left."""


def decide(plane: Plane, only: str | None = None) -> Decision:
    """Make one decision about every backend, or about one."""
    with plane.lock:
        now = plane.clock.now()
        seen = sight(plane)
        with plane.store.read() as reading:
            found = views(plane, reading, seen, now, only)
            effects = _strays(reading, seen, found) if only is None else []
        looks: list[datetime] = []
        current: list[tuple[BackendView, Specs]] = []
        for view, specs in found:
            changed, more, look = _decide_backend(plane, view, specs, now)
            effects.extend(more)
            if look is not None:
                looks.append(look)
            current.append((changed, specs))
        publish.settle(plane, current, is_everything=only is None)
        return Decision(
            effects=tuple(effects),
            look_again_at=min(looks, default=None),
            unprepared=tuple(
                (view.backend.name, release.version)
                for view, _ in current
                for release in view.releases
                if release.state.phase is ReleasePhase.PREPARING
            ),
            gone=tuple(view.backend.name for view, _ in current if _is_gone(view)),
        )


def _decide_backend(
    plane: Plane, view: BackendView, specs: Specs, now: datetime
) -> tuple[BackendView, list[Effect], datetime | None]:
    steps = advance(view, now)
    planned = plan(_after(view, steps), now)
    actions = tuple(action for action in planned.actions if _may_act(plane, view, action))
    actions = starts_that_fit(plane, view, specs, actions)
    new = [action for action in actions if _changes_records(view, action)]
    if not steps and not new and without_failed(view) is None:
        effects = [effect for action in actions for effect in _repeat(action)]
        return view, effects, planned.look_again_at
    with plane.store.write() as tx:
        view = _apply_steps(plane, tx, view, steps)
        view = _apply_fallback(plane, tx, view)
        effects = [effect for action in actions for effect in _apply(plane, tx, view, action)]
        records = {record.id: record for record in tx.open_replicas(view.backend.name)}
    # A step can allow another: look again at once rather than a pass later.
    return _with_records(view, records), effects, now if steps else planned.look_again_at


def _after(view: BackendView, steps: tuple[Step, ...]) -> BackendView:
    """Return the view as it will be once the steps are stored."""
    if not steps:
        return view
    moved = {step.state.version: step.state for step in steps}
    releases = tuple(
        replace(release, state=moved.get(release.version, release.state))
        for release in view.releases
    )
    return replace(view, releases=releases)


def _apply_steps(
    plane: Plane, tx: Writing, view: BackendView, steps: tuple[Step, ...]
) -> BackendView:
    stored = tuple(replace(step, state=tx.put_release_state(step.state)) for step in steps)
    for step in stored:
        kind = _PHASE_EVENTS.get(step.state.phase)
        if kind is not None and step.reason:
            note(
                plane,
                tx,
                kind,
                Change(
                    actor=ACTOR,
                    reason=step.reason,
                    about=(view.backend.name, step.state.version),
                    after={"phase": step.state.phase.value},
                ),
            )
    return _after(view, stored)


def _apply_fallback(plane: Plane, tx: Writing, view: BackendView) -> BackendView:
    """Take failed releases out of the wanted weights: traffic stays where it is."""
    weights = without_failed(view)
    if weights is None:
        return view
    backend = tx.put_backend(replace(view.backend, wanted=weights))
    note(
        plane,
        tx,
        Kind.ROUTE_WANTED,
        Change(
            actor=ACTOR,
            reason="a release in the wanted route failed; traffic stays where it is",
            about=(backend.name, None),
            before={"weights": dict(view.backend.wanted)},
            after={"weights": dict(weights)},
        ),
    )
    return replace(view, backend=backend)


def _may_act(plane: Plane, view: BackendView, action: Action) -> bool:
    """Whether it is safe: a drained replica is stopped only once the gateway has let go of it."""
    if not isinstance(action, StopReplica):
        return True
    record = _record(view, action.id)
    if record is None or record.goal is not ReplicaGoal.DRAIN:
        return True
    return plane.routing.receipt is not None and action.id not in plane.routing.active


def _changes_records(view: BackendView, action: Action) -> bool:
    if isinstance(action, StopReplica):
        record = _record(view, action.id)
        return record is not None and record.goal is not ReplicaGoal.GONE
    return True


def _repeat(action: Action) -> list[Effect]:
    if isinstance(action, StopReplica):
        return [Stop(id=action.id, target=action.target, grace_s=action.grace_s)]
    return []


def _apply(plane: Plane, tx: Writing, view: BackendView, action: Action) -> list[Effect]:
    if isinstance(action, StartReplica):
        return [_begin(plane, tx, action)]
    record = _record(view, action.id)
    if record is None:
        return []
    about = (record.backend, record.version)
    now = plane.clock.now()
    if isinstance(action, DrainReplica):
        tx.put_replica(
            replace(record, goal=ReplicaGoal.DRAIN, drain_since=now, reason=action.reason)
        )
        note(
            plane,
            tx,
            Kind.REPLICA_DRAINED,
            Change(actor=ACTOR, reason=action.reason, about=about, after={"replica": record.id}),
        )
        return []
    if isinstance(action, StopReplica):
        if record.goal is not ReplicaGoal.GONE:
            tx.put_replica(
                replace(
                    record, goal=ReplicaGoal.GONE, reason=action.reason, stop_cause=action.cause
                )
            )
        return [Stop(id=record.id, target=action.target, grace_s=action.grace_s)]
    if isinstance(action, MarkReady):
        tx.put_replica(replace(record, ready_at=now))
        waited_s = round((now - record.created_at).total_seconds(), 3)
        note(
            plane,
            tx,
            Kind.REPLICA_READY,
            Change(
                actor=ACTOR,
                reason="loaded and warm",
                about=about,
                after={"replica": record.id, "start_s": waited_s},
            ),
        )
        return []
    assert isinstance(action, CloseRecord)
    return _close(plane, tx, record, action)


def _begin(plane: Plane, tx: Writing, action: StartReplica) -> Launch:
    number = tx.next_replica_number(action.backend, action.version)
    record = ReplicaRecord(
        id=f"{action.backend}-{action.version}-{number}",
        backend=action.backend,
        version=action.version,
        target=action.target,
        goal=ReplicaGoal.RUN,
        created_at=plane.clock.now(),
        reason=action.reason,
    )
    tx.put_replica(record)
    note(
        plane,
        tx,
        Kind.REPLICA_STARTED,
        Change(
            actor=ACTOR,
            reason=action.reason,
            about=(record.backend, record.version),
            after={"replica": record.id},
        ),
    )
    with plane.work.lock:
        plane.work.launching.add(record.id)
    return Launch(id=record.id, backend=record.backend, version=record.version)


def _close(plane: Plane, tx: Writing, record: ReplicaRecord, action: CloseRecord) -> list[Effect]:
    end = action.exit
    tx.put_replica(replace(record, goal=ReplicaGoal.GONE, ended_at=plane.clock.now(), exit=end))
    kind = Kind.REPLICA_FAILED if end.is_failure else Kind.REPLICA_STOPPED
    after: dict[str, Any] = {
        "replica": record.id,
        "cause": end.cause.value,
        "code": end.code,
        "signal": end.signal,
    }
    if end.is_failure and end.last_log:
        after["last_log"] = list(end.last_log[-5:])
    note(
        plane,
        tx,
        kind,
        Change(
            actor=ACTOR,
            reason=end.message or record.reason or end.cause.value,
            about=(record.backend, record.version),
            after=after,
        ),
    )
    return [Forget(id=record.id, target=action.target)]


def _strays(reading: Reading, seen: Sight, found: list[tuple[BackendView, Specs]]) -> list[Effect]:
    """Find replicas that run without an open record: an older store was restored, or a crash came between."""
    known = {
        record.id for view, _ in found for release in view.releases for record in release.records
    }
    strays: list[Effect] = []
    for replica_id, replica in seen.observed.items():
        if replica_id in known:
            continue
        record = reading.replica(replica_id)
        if record is not None and record.is_open:
            continue
        target = record.target if record is not None else ""
        if replica.phase is ReplicaPhase.EXITED:
            strays.append(Forget(id=replica_id, target=target))
        else:
            strays.append(Stop(id=replica_id, target=target, grace_s=STRAY_GRACE_S))
    return strays


def _is_gone(view: BackendView) -> bool:
    return view.backend.is_deleting and not any(release.records for release in view.releases)


def _record(view: BackendView, replica_id: str) -> ReplicaRecord | None:
    for release in view.releases:
        for record in release.records:
            if record.id == replica_id:
                return record
    return None


def _with_records(view: BackendView, records: dict[str, ReplicaRecord]) -> BackendView:
    """Return the view with the records as now stored, for the route table."""
    releases = tuple(
        replace(
            release,
            records=tuple(
                record for record in records.values() if record.version == release.version
            ),
        )
        for release in view.releases
    )
    return replace(view, releases=releases)


def finish_deletions(plane: Plane, names: tuple[str, ...]) -> None:
    """Remove the rows of backends whose last replica ended."""
    with plane.lock:
        for name in names:
            with plane.store.write() as tx:
                versions = tuple(state.version for state in tx.release_states(name))
                forget_starts(plane, tx, name, versions)
                tx.delete_backend(name)
                note(
                    plane,
                    tx,
                    Kind.BACKEND_DELETED,
                    Change(actor=ACTOR, reason="its last replica ended", about=(name, None)),
                )
            plane.routing.routes.pop(name, None)
