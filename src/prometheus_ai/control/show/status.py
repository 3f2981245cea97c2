"""Status: the installation, one backend, its releases."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_ai import __version__
from prometheus_ai.control.loop.look import sight
from prometheus_ai.control.plane import Plane, Sight
from prometheus_ai.control.show.rollouts import rollout_view
from prometheus_ai.control.show.starts import starts_view
from prometheus_ai.control.show.views import (
    BackendDetail,
    BackendSummary,
    PlatformStatus,
    ReleaseView,
    ReplicaView,
    TrafficView,
)
from prometheus_ai.domain.cold_start import ColdStart
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.release import Backend, Release, ReleasePhase, ReleaseState
from prometheus_ai.domain.replica import ReplicaGoal, ReplicaPhase, ReplicaRecord
from prometheus_ai.domain.route import BackendRoute, Weights
from prometheus_ai.domain.window import Window
from prometheus_ai.ports.state_store import Reading
from prometheus_ai.reconcile import versions_of
from prometheus_ai.telemetry import merge_windows, summarize

TRAFFIC_SPAN = timedelta(minutes=5)
RESTART_SPAN = timedelta(days=1)
NEWS_SPAN = timedelta(seconds=10)

_Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Facts:
    """Everything that a status is made of, read at once."""

    states: dict[_Key, ReleaseState]
    phases: dict[str, set[ReleasePhase]]
    """Phases of each backend's releases."""
    records: dict[str, list[ReplicaRecord]]
    windows: dict[_Key, Window]
    by_backend: dict[str, list[Window]]
    restarts: Counter[_Key]
    seen: Sight
    gateway_url: str
    starts: Mapping[_Key, tuple[ColdStart, ...]]
    routes: Mapping[str, BackendRoute]
    """As last given to the gateway."""
    flags: dict[_Key, str]
    """What the gate has against releases that run."""


def status(plane: Plane) -> PlatformStatus:
    """Describe the installation and every backend."""
    with plane.store.read() as reading:
        backends = reading.backends()
        facts = _facts(plane, reading, None)
    gateway = plane.routes.status()
    return PlatformStatus(
        version=__version__,
        gateway_url=plane.gateway_url,
        gateway_serving=gateway.is_serving,
        gateway_detail=plane.routing.last_error or gateway.rejected_detail or gateway.detail,
        gateway_generation=gateway.generation,
        gateway_pid=gateway.data_plane_pid,
        gateway_restarts=gateway.data_plane_restarts,
        last_pass_s=round(plane.last_pass_s, 4),
        targets={name: facts.seen.unreachable.get(name, "ok") for name in plane.drivers},
        audit_problem=plane.audit_problem,
        backends=tuple(_summary(backend, facts) for backend in backends),
    )


def backend_detail(plane: Plane, name: str) -> BackendDetail:
    """Describe one backend.

    Raises:
        NotFound: there is no such backend.
    """
    with plane.store.read() as reading:
        backend = existing(reading, name)
        facts = _facts(plane, reading, name)
        history = reading.releases(name)
    living = [
        release
        for release in history
        if facts.states[name, release.version].phase is not ReleasePhase.RETIRED
        or release.version in versions_of(backend.wanted)
    ]
    newest = history[-1].version if history else ""
    shows_work = newest and _shows_work(facts.states[name, newest], plane.clock.now())
    return BackendDetail(
        summary=_summary(backend, facts),
        releases=tuple(_release(backend, release, facts) for release in living),
        replicas=tuple(_replica(record, facts) for record in facts.records.get(name, [])),
        rollout=rollout_view(plane, name),
        progress=plane.work.lines(name, newest)[-20:] if shows_work else (),
    )


def _shows_work(state: ReleaseState, now: datetime) -> bool:
    """Whether the work that led here is still news."""
    return state.phase in _UNDER_WAY or now - state.phase_since < NEWS_SPAN


def releases(plane: Plane, name: str) -> tuple[ReleaseView, ...]:
    """Describe every release of a backend, oldest first.

    Raises:
        NotFound: there is no such backend.
    """
    with plane.store.read() as reading:
        backend = existing(reading, name)
        facts = _facts(plane, reading, name)
        history = reading.releases(name)
    return tuple(_release(backend, release, facts) for release in history)


def existing(reading: Reading, name: str) -> Backend:
    """Return a backend.

    Raises:
        NotFound: there is none of that name.
    """
    backend = reading.backend(name)
    if backend is None:
        raise NotFound(f"there is no backend {name!r}", hint="`pai status` lists them")
    return backend


def _facts(plane: Plane, reading: Reading, only: str | None) -> _Facts:
    now = plane.clock.now()
    records: dict[str, list[ReplicaRecord]] = defaultdict(list)
    for record in reading.open_replicas(only):
        records[record.backend].append(record)
    merged = merge_windows(reading.windows(now - TRAFFIC_SPAN, only))
    failed = (
        (record.backend, record.version)
        for record in reading.ended_replicas(now - RESTART_SPAN, only)
        if record.exit is not None and record.exit.is_failure
    )
    states = reading.release_states(only)
    phases: dict[str, set[ReleasePhase]] = defaultdict(set)
    for state in states:
        phases[state.backend].add(state.phase)
    by_backend: dict[str, list[Window]] = defaultdict(list)
    for window in merged:
        by_backend[window.backend].append(window)
    return _Facts(
        by_backend=by_backend,
        states={(state.backend, state.version): state for state in states},
        phases=phases,
        records=records,
        windows={(window.backend, window.version): window for window in merged},
        restarts=Counter(failed),
        seen=sight(plane),
        flags=flags_of(plane),
        gateway_url=plane.gateway_url,
        starts=plane.starts,
        routes=plane.routing.routes,
    )


def flags_of(plane: Plane) -> dict[_Key, str]:
    """Return what the gate has against releases that run."""
    if plane.gate is None:
        return {}
    with plane.gate.lock:
        return dict(plane.gate.flags)


def _summary(backend: Backend, facts: _Facts) -> BackendSummary:
    routed = versions_of(backend.wanted) | versions_of(backend.in_force)
    wanted = sum(
        state.replicas_wanted
        for version in routed
        if (state := facts.states.get((backend.name, version)))
    )
    records = facts.records.get(backend.name, [])
    ready = sum(1 for r in records if r.version in routed and _is_ready(r, facts))
    return BackendSummary(
        name=backend.name,
        state=_state(backend, facts, ready, wanted),
        stable=backend.stable,
        weights=in_percent(backend.in_force),
        weights_wanted=in_percent(backend.wanted),
        replicas_ready=ready,
        replicas_wanted=wanted,
        traffic=_traffic(facts.by_backend.get(backend.name, [])),
        url=f"{facts.gateway_url}/v2/models/{backend.name}/infer",
        flags=tuple(
            f"{version}: {said}"
            for (name, version), said in sorted(facts.flags.items())
            if name == backend.name
        ),
    )


def _state(backend: Backend, facts: _Facts, ready: int, wanted: int) -> str:
    if backend.is_deleting:
        return "deleting"
    if not backend.in_force:
        return "failed" if facts.phases[backend.name] == {ReleasePhase.FAILED} else "deploying"
    if ready == 0:
        if wanted == 0:
            return "asleep"
        return "waking" if _is_held(backend, facts) else "down"
    if backend.wanted != backend.in_force:
        return "deploying"
    return "ready" if ready >= wanted else "degraded"


def _is_held(backend: Backend, facts: _Facts) -> bool:
    """Whether requests wait, rather than fail, until a replica is ready."""
    route = facts.routes.get(backend.name)
    routed = versions_of(backend.in_force)
    return route is not None and all(
        release.hold is not None for release in route.releases if release.version in routed
    )


def _release(backend: Backend, release: Release, facts: _Facts) -> ReleaseView:
    key = (backend.name, release.version)
    state = facts.states[key]
    records = [r for r in facts.records.get(backend.name, []) if r.version == release.version]
    window = facts.windows.get(key)
    return ReleaseView(
        backend=backend.name,
        version=release.version,
        number=release.number,
        digest=release.digest,
        phase=state.phase.value,
        engine=release.inputs.engine,
        model=release.inputs.model.name,
        model_digest=release.inputs.model.digest,
        created_at=release.created_at,
        created_by=release.created_by,
        weight=dict(backend.in_force).get(release.version, 0) / 100,
        weight_wanted=dict(backend.wanted).get(release.version, 0) / 100,
        replicas_ready=sum(1 for record in records if _is_ready(record, facts)),
        replicas_wanted=0 if state.phase in _AT_REST else state.replicas_wanted,
        failure=state.failure,
        restarts_24h=facts.restarts[key],
        starts=starts_view(facts.starts.get(key, ())),
        traffic=_traffic([window] if window is not None else []),
        labels=release.spec.labels,
    )


_UNDER_WAY = frozenset({ReleasePhase.PREPARING, ReleasePhase.STARTING, ReleasePhase.FAILED})
_AT_REST = frozenset({ReleasePhase.RETIRED, ReleasePhase.FAILED})


def _replica(record: ReplicaRecord, facts: _Facts) -> ReplicaView:
    seen = facts.seen.observed.get(record.id)
    endpoint = seen.endpoint if seen is not None else None
    return ReplicaView(
        id=record.id,
        version=record.version,
        phase=seen.phase.value if seen is not None else "unknown",
        goal=record.goal.value,
        target=record.target,
        created_at=record.created_at,
        ready_at=record.ready_at,
        endpoint=f"{endpoint.host}:{endpoint.port}" if endpoint is not None else "",
        pid=seen.pid if seen is not None else None,
        detail=seen.detail if seen is not None else "",
        requests_active=seen.requests_active if seen is not None else None,
    )


def _is_ready(record: ReplicaRecord, facts: _Facts) -> bool:
    seen = facts.seen.observed.get(record.id)
    return record.goal is ReplicaGoal.RUN and seen is not None and seen.phase is ReplicaPhase.READY


def _traffic(windows: list[Window]) -> TrafficView:
    if not windows:
        return TrafficView()
    whole = summarize(windows)
    return TrafficView(
        requests=whole.requests,
        errors=whole.errors,
        rejected=whole.rejected,
        p50_ms=whole.p50_ms,
        p95_ms=whole.p95_ms,
        p99_ms=whole.p99_ms,
        span_s=whole.span_s,
    )


def in_percent(weights: Weights) -> dict[str, float]:
    """Return weights as percentages by version."""
    return {version: weight / 100 for version, weight in weights}


def age(now: datetime, then: datetime) -> str:
    """Return how long ago, as people say it: ``3 s``, ``5 min``, ``2 h``, ``4 d``."""
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
