"""Own metrics: numbers from a metrics database with bounds that the spec sets."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_memory import Held, active
from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.evidence import Comparison, GateResult, Outcome, Sample
from prometheus_ai.domain.policy import MetricGate

EVERY_S = 10.0
OLD_S = 45.0
"""A reading older than this says nothing of now."""


@dataclass(kw_only=True)
class OwnMetrics:
    """Asks the metrics database for rollouts under way. Owned by one loop, so no decision waits for it."""

    plane: Plane
    asked_at: dict[str, float] = field(default_factory=dict)

    def tick(self) -> None:
        """Ask what is due."""
        database = self.plane.database
        if database is None:
            return
        with self.plane.lock:
            names = [name for name in self.plane.rollouts if active(self.plane, name) is not None]
        for name in names:
            clock = self.plane.clock.monotonic()
            if clock - self.asked_at.get(name, -EVERY_S) >= EVERY_S:
                self.asked_at[name] = clock
                self._ask(name)
        for gone in self.asked_at.keys() - set(names):
            del self.asked_at[gone]
            self.plane.own_metrics.pop(gone, None)

    def _ask(self, name: str) -> None:
        with self.plane.lock:
            held = active(self.plane, name)
        if held is None:
            return
        gates, warm_up_s = _gates(self.plane, name, held)
        given_at = held.state.given_at
        now = self.plane.clock.now()
        if not gates or given_at is None or now < given_at + timedelta(seconds=warm_up_s):
            return
        before = self.plane.own_metrics.get(name, {})
        found = {}
        for gate in gates:
            sample = self._sample(gate.filled(name, held.state.candidate, held.state.stable or ""))
            known = before.get(gate.name)
            mine = known if known is not None and known.candidate == held.state.candidate else None
            found[gate.name] = _seen(mine, gate, sample, held.state.candidate, now)
        self.plane.own_metrics[name] = found

    def _sample(self, query: str) -> Sample:
        assert self.plane.database is not None
        try:
            return self.plane.database.ask(query)
        except PlatformError as error:
            return Sample(problem=error.message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What is known of one own metric."""

    candidate: str
    sample: Sample
    at: datetime
    in_row: int = 0
    """Readings out of bounds, one after the other."""


def with_own(plane: Plane, name: str, comparison: Comparison, now: datetime) -> Comparison:
    """Return the comparison with a result for each own metric that the spec names."""
    held = active(plane, name)
    if held is None:
        return comparison
    gates, _ = _gates(plane, name, held)
    seen = plane.own_metrics.get(name, {})
    results = []
    for gate in gates:
        known = seen.get(gate.name)
        is_mine = known is not None and known.candidate == held.state.candidate
        results.append(_result(gate, known if is_mine else None, now))
    return replace(comparison, gates=(*comparison.gates, *results)) if results else comparison


def _seen(
    before: Seen | None, gate: MetricGate, sample: Sample, candidate: str, now: datetime
) -> Seen:
    in_row = 0 if before is None else before.in_row
    if sample.value is not None:
        in_row = 0 if gate.allows(sample.value) else in_row + 1
    return Seen(candidate=candidate, sample=sample, at=now, in_row=in_row)


def _result(gate: MetricGate, seen: Seen | None, now: datetime) -> GateResult:
    sample = seen.sample if seen is not None else Sample(problem="it was not asked for yet")
    if seen is not None and (now - seen.at).total_seconds() > OLD_S:
        sample = Sample(problem=f"the last reading is older than {OLD_S:g} s")
    in_row = seen.in_row if seen is not None else 0
    value = sample.value
    outcome = Outcome.INSUFFICIENT
    if in_row >= gate.failures:
        outcome = Outcome.FAIL
    elif value is not None and gate.allows(value):
        outcome = Outcome.PASS
    shown = sample.problem if value is None else f"{value:.6g}"
    detail = f"{shown}; allowed is {gate.in_words}"
    if in_row:
        detail += f"; {in_row} of {gate.failures} readings in a row are out of bounds"
    bound = gate.max if gate.max is not None else gate.min
    return GateResult(
        gate=gate.name, outcome=outcome, candidate=value or 0.0, candidate_low=value or 0.0,
        candidate_high=value or 0.0, baseline=bound or 0.0, candidate_count=int(value is not None),
        baseline_count=0, harm=min(1.0, in_row / gate.failures),
        safety=float(outcome is Outcome.PASS), requests_to_decide=None, decide_in_s=None,
        detail=detail,
    )  # fmt: skip


def _gates(plane: Plane, name: str, held: Held) -> tuple[tuple[MetricGate, ...], float]:
    with plane.store.read() as reading:
        release = reading.release(name, held.state.candidate)
    policy = release.spec.rollout if release is not None else None
    return (policy.gates.metrics, policy.gates.warm_up_s) if policy is not None else ((), 0.0)
