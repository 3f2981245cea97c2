"""Why: what is running, what is wanted, why they differ, and what happens next."""

from datetime import datetime, timedelta

from prometheus_ai.control.loop.look import sight, views
from prometheus_ai.control.loop.publish import in_words
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_memory import active
from prometheus_ai.control.show.events import recent_events
from prometheus_ai.control.show.quality import quality_differences, quality_lines
from prometheus_ai.control.show.rollouts import under_way
from prometheus_ai.control.show.starts import starts_line
from prometheus_ai.control.show.status import age, existing, flags_of
from prometheus_ai.control.show.views import Difference, Why
from prometheus_ai.domain.release import Release, ReleasePhase, ReleaseState
from prometheus_ai.domain.replica import ReplicaGoal, ReplicaPhase, ReplicaRecord
from prometheus_ai.reconcile import BackendView, ReleaseView, plan, weights_to_serve
from prometheus_ai.reconcile.backoff import recent_failures, retry_at

RECENT_EVENTS = 8
LOG_LINES = 3
"""Lines of a failed replica's log that are quoted."""


def why(plane: Plane, name: str) -> Why:
    """Explain one backend.

    Raises:
        NotFound: there is no such backend.
    """
    now = plane.clock.now()
    seen = sight(plane)
    with plane.store.read() as reading:
        backend = existing(reading, name)
        view, _ = views(plane, reading, seen, now, name)[0]
        states = reading.release_states(name)
        history = reading.releases(name)
    differences = [
        *_route_differences(plane, view, states),
        *(d for release in view.releases for d in _replica_differences(view, release, now)),
        *_release_differences(states, history, now),
        *_gate_differences(plane, name),
        *quality_differences(plane, name),
        *_gateway_differences(plane),
    ]
    rollout = active(plane, name)
    lines = under_way(rollout) if rollout is not None else ()
    return Why(
        backend=name,
        wanted=(
            f"traffic: {in_words(backend.wanted)}",
            *(
                _wanted(plane, name, release)
                for release in view.releases
                if release.state.phase in {ReleasePhase.STARTING, ReleasePhase.READY}
            ),
        ),
        running=(
            f"traffic: {in_words(backend.in_force)}",
            *(_running(view, release) for release in view.releases if release.records),
            *quality_lines(plane, name),
        ),
        differences=tuple(differences),
        next=(*_next(view, now), *lines) or _nothing(differences),
        recent=tuple(
            f"{event.at} {event.kind} {event.version or ''} {event.reason}"
            for event in recent_events(plane, name, RECENT_EVENTS)
        ),
    )


def _wanted(plane: Plane, name: str, release: ReleaseView) -> str:
    count = release.state.replicas_wanted
    line = starts_line(plane.starts.get((name, release.version), ()))
    sleeps = ", asleep: requests are held and wake it" if count == 0 else ""
    return f"{release.version}: {count} replicas{sleeps}" + (f"; {line}" if line else "")


def _nothing(differences: list[Difference]) -> tuple[str, ...]:
    if differences:
        return ("nothing to start or stop: what is under way goes on",)
    return ("nothing: what runs is what is wanted",)


def _running(view: BackendView, release: ReleaseView) -> str:
    parts = []
    for record in release.records:
        seen = view.observed.get(record.id)
        phase = "launching" if record.id in view.launching else "unseen"
        parts.append(f"{record.id} {seen.phase.value if seen is not None else phase}")
    return f"{release.version}: {', '.join(parts)}"


def _route_differences(
    plane: Plane, view: BackendView, states: list[ReleaseState]
) -> list[Difference]:
    backend = view.backend
    if backend.wanted == backend.in_force:
        return []
    phases = {state.version: state for state in states}
    waiting = [
        f"{version} is {phases[version].phase.value}"
        for version, _ in backend.wanted
        if version in phases and phases[version].phase is not ReleasePhase.READY
    ]
    if waiting:
        reason, then = (
            ", ".join(waiting),
            "the route changes as soon as every release in it is ready",
        )
    elif weights_to_serve(view) != backend.wanted:
        reason, then = "a release in it has no ready replica", "the route changes once one is ready"
    else:
        reason = plane.routing.last_error or "the gateway has not confirmed yet"
        then = "the table is offered again within seconds, and at once when it changes"
    return [
        Difference(
            what="traffic",
            wanted=in_words(backend.wanted),
            actual=in_words(backend.in_force),
            why=reason,
            next=then,
        )
    ]


def _replica_differences(
    view: BackendView, release: ReleaseView, now: datetime
) -> list[Difference]:
    if release.state.phase not in {ReleasePhase.STARTING, ReleasePhase.READY}:
        return []
    ready = view.ready_count(release)
    wanted = release.state.replicas_wanted
    if ready == wanted:
        return []
    reasons = [_explain(view, record, now) for record in release.records]
    failures = recent_failures(release.ended, now)
    then = "the loop looks again within a second"
    if failures:
        last = failures[-1]
        assert last.exit is not None, "a failure has an exit"
        reasons.append(
            f"{last.id} failed ({last.exit.cause.value}): {last.exit.message or last.exit.code}"
        )
        reasons.extend(f"it wrote: {line}" for line in last.exit.last_log[-LOG_LINES:])
        again = retry_at(failures)
        if again is not None and again > now:
            then = f"the next start is in {(again - now).total_seconds():.1f} s (failure {len(failures)} in a row)"
    if release.target in view.unreachable:
        reasons.append(f"target {release.target} cannot be reached")
        then = "nothing is concluded from its silence; it is asked again every pass"
    return [
        Difference(
            what=f"{release.version} replicas",
            wanted=str(wanted),
            actual=f"{ready} ready",
            why="; ".join(reason for reason in reasons if reason) or "none has been started yet",
            next=then,
        )
    ]


def _explain(view: BackendView, record: ReplicaRecord, now: datetime) -> str:
    if record.id in view.launching:
        return f"{record.id} is being launched: its artefact is verified first"
    if record.goal is not ReplicaGoal.RUN:
        return f"{record.id} is ending: {record.reason}"
    seen = view.observed.get(record.id)
    if seen is None:
        return f"{record.id} is not seen by its target"
    if seen.phase is ReplicaPhase.READY:
        return ""
    since = age(now, seen.started_at)
    return f"{record.id} is {seen.phase.value} for {since}" + (
        f" ({seen.detail})" if seen.detail else ""
    )


def _release_differences(
    states: list[ReleaseState], history: list[Release], now: datetime
) -> list[Difference]:
    if not history:
        return []
    newest = next(state for state in states if state.version == history[-1].version)
    if newest.phase is ReleasePhase.FAILED:
        return [
            Difference(
                what=f"release {newest.version}",
                wanted="ready",
                actual="failed",
                why=newest.failure,
                next="nothing by itself: correct the spec and deploy, or deploy again to retry",
            )
        ]
    if newest.phase is ReleasePhase.PREPARING:
        return [
            Difference(
                what=f"release {newest.version}",
                wanted="ready",
                actual="preparing",
                why=f"its environment is being made, for {age(now, newest.phase_since)}",
                next="its replicas start when the environment is complete",
            )
        ]
    return []


def _gate_differences(plane: Plane, name: str) -> list[Difference]:
    return [
        Difference(
            what=f"gate about {version}",
            wanted="nothing speaks against what runs",
            actual="flagged",
            why=said,
            next="it runs on; `pai gate explain` shows the evidence, and a new start is decided anew",
        )
        for (backend, version), said in sorted(flags_of(plane).items())
        if backend == name
    ]


def _gateway_differences(plane: Plane) -> list[Difference]:
    status = plane.routes.status()
    if not status.is_serving:
        return [
            Difference(
                what="gateway",
                wanted="serving",
                actual="not reached",
                why=status.detail,
                next="if it runs, it serves its last good table; see `pai doctor`",
            )
        ]
    if status.rejected_detail:
        return [
            Difference(
                what="gateway table",
                wanted=f"generation {status.rejected_generation}",
                actual=f"generation {status.generation}",
                why=f"rejected: {status.rejected_detail}",
                next="the last good table stays in force until a new one is accepted",
            )
        ]
    return []


def _next(view: BackendView, now: datetime) -> tuple[str, ...]:
    lines = [f"{type(action).__name__}: {action}" for action in plan(view, now).actions]
    for release in view.releases:
        since = release.state.unrouted_since
        if since is not None and release.state.phase is ReleasePhase.READY:
            until = since + timedelta(seconds=release.keep_warm_s)
            left = max(0, int((until - now).total_seconds()))
            lines.append(
                f"{release.version} has no traffic and is kept warm for {left} s more, ready for a rollback"
            )
    return tuple(lines)
