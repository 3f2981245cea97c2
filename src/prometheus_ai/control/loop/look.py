"""Looking: state and observations become the views that deciders take."""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from prometheus_ai.control.loop.starts import starts_of
from prometheus_ai.control.plane import Plane, Sight
from prometheus_ai.control.rollout_memory import protected
from prometheus_ai.domain.cold_start import UNKNOWN_S, expected_s
from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.release import Backend, Release, ReleasePhase, ReleaseState
from prometheus_ai.domain.replica import Exit, Observed, ReplicaPhase, ReplicaRecord
from prometheus_ai.domain.spec import Spec
from prometheus_ai.ports.state_store import Reading
from prometheus_ai.reconcile import BackendView, ReleaseView, versions_of
from prometheus_ai.reconcile.backoff import MEMORY_S

Specs = dict[str, Spec]
_Owned = TypeVar("_Owned", Release, ReleaseState)


def sight(plane: Plane) -> Sight:
    """Ask every driver what it sees.

    A start that completes while drivers are asked is in neither answer if it is looked up afterwards,
    and would be taken for lost: so what is under way is noted first.
    """
    with plane.work.lock:
        launching = frozenset(plane.work.launching)
    observed: dict[str, Observed] = {}
    unreachable: dict[str, str] = {}
    for target, driver in plane.drivers.items():
        try:
            observed.update((seen.id, seen) for seen in driver.observe())
        except PlatformError as error:
            unreachable[target] = error.message
    with plane.work.lock:
        observed.update(
            (replica_id, _unstarted(replica_id, end))
            for replica_id, end in plane.work.failed_starts.items()
        )
    return Sight(observed=observed, unreachable=unreachable, launching=launching)


def _unstarted(replica_id: str, end: Exit) -> Observed:
    """Return a start that failed before anything ran, as an ended replica."""
    return Observed(
        id=replica_id,
        backend="",
        version="",
        phase=ReplicaPhase.EXITED,
        started_at=end.at,
        exit=end,
    )


def views(
    plane: Plane, tx: Reading, seen: Sight, now: datetime, only: str | None = None
) -> list[tuple[BackendView, Specs]]:
    """Return each backend's view, with the specs of the releases in it."""
    if only is None:
        backends = tx.backends()
    else:
        backend = tx.backend(only)
        backends = [] if backend is None else [backend]
    releases = _by_backend(tx.releases(only))
    states = _by_backend(tx.release_states(only))
    records = _by_release(tx.open_replicas(only))
    ended = _by_release(tx.ended_replicas(now - timedelta(seconds=2 * MEMORY_S), only))
    leaving = plane.notices.read() if plane.notices is not None else {}
    result = []
    for backend in backends:
        needed = protected(plane.rollouts, backend.name)
        known = {release.version: release for release in releases.get(backend.name, [])}
        living = [
            (known[state.version], state)
            for state in states.get(backend.name, [])
            if state.version in known and _matters(backend, state, records, needed)
        ]
        living.sort(key=lambda pair: pair[0].number)
        view = BackendView(
            backend=backend,
            releases=tuple(
                replace(
                    _release_view(
                        release,
                        state,
                        records.get((backend.name, state.version), ()),
                        ended.get((backend.name, state.version), ()),
                    ),
                    start_s=_start_s(plane, tx, release),
                )
                for release, state in living
            ),
            observed=seen.observed,
            unreachable=frozenset(seen.unreachable),
            launching=seen.launching,
            leaving=leaving,
            needed=needed,
        )
        result.append((view, {release.version: release.spec for release, _ in living}))
    return result


def _release_view(
    release: Release,
    state: ReleaseState,
    records: tuple[ReplicaRecord, ...],
    ended: tuple[ReplicaRecord, ...],
) -> ReleaseView:
    spec = release.spec
    return ReleaseView(
        state=state,
        target=spec.target,
        startup_s=spec.timeouts.startup_s,
        drain_s=spec.timeouts.drain_s,
        keep_warm_s=spec.route.keep_warm_s,
        records=records,
        ended=ended,
    )


def _start_s(plane: Plane, tx: Reading, release: Release) -> float:
    if release.spec.scaling is None:
        return UNKNOWN_S
    return expected_s(starts_of(plane, tx, (release.backend, release.version)))


def _matters(
    backend: Backend,
    state: ReleaseState,
    records: dict[tuple[str, str], tuple[ReplicaRecord, ...]],
    needed: frozenset[str],
) -> bool:
    """Whether a release can still need anything: most of a long history does not."""
    if state.phase not in {ReleasePhase.RETIRED, ReleasePhase.FAILED}:
        return True
    if (backend.name, state.version) in records:
        return True
    routed = versions_of(backend.wanted) | versions_of(backend.in_force)
    return state.version in routed | needed


def _by_backend(items: list[_Owned]) -> dict[str, list[_Owned]]:
    grouped: dict[str, list[_Owned]] = defaultdict(list)
    for item in items:
        grouped[item.backend].append(item)
    return grouped


def _by_release(records: list[ReplicaRecord]) -> dict[tuple[str, str], tuple[ReplicaRecord, ...]]:
    grouped: dict[tuple[str, str], list[ReplicaRecord]] = defaultdict(list)
    for record in records:
        grouped[record.backend, record.version].append(record)
    return {key: tuple(found) for key, found in grouped.items()}
