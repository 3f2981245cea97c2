"""The course of a backend's newest rollout: everything that a report is drawn from."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_memory import Held, load
from prometheus_ai.control.rollout_trace import TracePoint
from prometheus_ai.control.show.decided import DecisionView, list_decisions
from prometheus_ai.control.show.events import recent_events
from prometheus_ai.control.show.rollouts import gate_view
from prometheus_ai.control.show.series import Series, series_of
from prometheus_ai.control.show.status import existing
from prometheus_ai.control.show.views import EventView, GateView
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.window import Window

EVENTS_MAX = 400
DECISIONS_MAX = 400
POINTS_MIN, POINTS_MAX = 8, 120
REQUESTS_EACH = 90
"""Points are as far apart as it takes for the candidate's p95 to be known at each."""
BEFORE = timedelta(seconds=60)
AFTER = timedelta(seconds=30)
"""What is shown of the time around it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """One rollout from its deploy to its end, or to now."""

    backend: str
    candidate: str
    stable: str | None
    strategy: str
    phase: str
    reason: str
    """Why it stands, or ended, where it does."""
    begun_at: datetime
    ended_at: datetime | None
    now: datetime
    steps: tuple[float, ...]
    weight: float
    verdict: str
    verdict_reason: str
    decide_in_s: float | None
    requests: int
    """Of the candidate, that judged it."""
    gates: tuple[GateView, ...]
    flip_ms: float | None
    rollback_s: float
    notes: tuple[str, ...]
    trace: tuple[TracePoint, ...]
    series: tuple[Series, ...]
    events: tuple[EventView, ...]
    decisions: tuple[DecisionView, ...]


def course(plane: Plane, name: str) -> Course:
    """Return the newest rollout of a backend, ended or not.

    Raises:
        NotFound: there is no such backend, or it never had a rollout.
    """
    now = plane.clock.now()
    with plane.lock, plane.store.read() as reading:
        existing(reading, name)
        held = _held(plane, name) or load(reading, name)
        if held is None:
            raise NotFound(
                f"backend {name} never had a rollout",
                hint="give its spec a rollout section and deploy it; docs/guides/rollouts.md",
            )
        begun = held.state.started_at
        ended = held.state.phase_since if held.state.has_ended else None
        until = now if ended is None else min(now, ended + AFTER)
        windows = [
            window
            for window in reading.windows(begun - BEFORE, name)
            if window.version in {held.state.candidate, held.state.stable}
        ]
    compared = held.verdict.comparison if held.verdict is not None else None
    return Course(
        backend=name,
        candidate=held.state.candidate,
        stable=held.state.stable,
        strategy=held.state.strategy,
        phase=held.state.phase.value,
        reason=held.state.reason,
        begun_at=begun,
        ended_at=ended,
        now=now,
        steps=tuple(step.percent for step in held.state.plan.steps),
        weight=held.state.weight,
        verdict=held.verdict.outcome.value if held.verdict is not None else "",
        verdict_reason=held.verdict.reason if held.verdict is not None else "",
        decide_in_s=held.verdict.decide_in_s if held.verdict is not None else None,
        requests=compared.candidate_requests if compared is not None else 0,
        gates=tuple(gate_view(gate) for gate in compared.gates) if compared is not None else (),
        flip_ms=held.flip_ms,
        rollback_s=max((step.rollback_s for step in held.state.plan.steps), default=0.0),
        notes=held.state.plan.notes,
        trace=held.trace.points,
        series=series_of(windows, begun - BEFORE, until, _points(windows, held.state.candidate)),
        events=_events(plane, name, begun, until),
        decisions=tuple(
            decision
            for decision in list_decisions(plane, name, DECISIONS_MAX)
            if begun <= decision.at <= until and decision.version == held.state.candidate
        ),
    )


def _points(windows: list[Window], candidate: str) -> int:
    answered = sum(window.requests for window in windows if window.version == candidate)
    return max(POINTS_MIN, min(POINTS_MAX, answered // REQUESTS_EACH))


def _held(plane: Plane, name: str) -> Held | None:
    held = plane.rollouts.get(name)
    return held if isinstance(held, Held) else None


def _events(plane: Plane, name: str, begun: datetime, until: datetime) -> tuple[EventView, ...]:
    return tuple(
        event
        for event in recent_events(plane, name, EVENTS_MAX)
        if begun <= datetime.fromisoformat(event.at) <= until
    )
