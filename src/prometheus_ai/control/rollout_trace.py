"""The course of a rollout in a bounded number of points: weight and evidence over time."""

from dataclasses import dataclass
from datetime import datetime

from prometheus_ai.domain.evidence import Verdict

POINTS_MAX = 240
"""Then every second point goes: a long rollout is drawn coarser, and never forgotten."""
FIRST_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class TracedGate:
    """One gate at one moment: shares of the evidence that a FAIL and a PASS need."""

    gate: str
    harm: float
    safety: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TracePoint:
    """Where a rollout stood at one moment."""

    at: datetime
    weight: float
    """Percent of traffic that the candidate had."""
    outcome: str
    requests: int
    """Of the candidate, that judge it."""
    gates: tuple[TracedGate, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """The points so far, and how far apart they are."""

    every_s: float = FIRST_EVERY_S
    points: tuple[TracePoint, ...] = ()


def traced(trace: Trace, verdict: Verdict | None, weight: float, now: datetime) -> Trace:
    """Return the trace with this moment in it, if it is due or the weight changed."""
    last = trace.points[-1] if trace.points else None
    if verdict is None or verdict.comparison is None:
        return trace
    is_early = last is not None and (now - last.at).total_seconds() < trace.every_s
    if is_early and last is not None and last.weight == weight:
        return trace
    compared = verdict.comparison
    point = TracePoint(
        at=now,
        weight=weight,
        outcome=verdict.outcome.value,
        requests=compared.candidate_requests,
        gates=tuple(
            TracedGate(gate=gate.gate, harm=round(gate.harm, 4), safety=round(gate.safety, 4))
            for gate in compared.gates
            if gate.is_gating
        ),
    )
    points = (*trace.points, point)
    if len(points) <= POINTS_MAX:
        return Trace(every_s=trace.every_s, points=points)
    return Trace(every_s=2 * trace.every_s, points=points[::2])
