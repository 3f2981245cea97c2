"""From a comparison to a verdict: whose fault it is comes first, then the gates, then the time to decide."""

from datetime import datetime

from prometheus_ai.domain.evidence import Comparison, FaultOwner, GateResult, Outcome, Verdict
from prometheus_ai.domain.policy import RolloutSpec

_ERROR_GATES = frozenset({"errors", "ceiling", "errors_alone"})
_LATENCY_GATES = frozenset({"latency", "latency_alone"})
_EXCUSES = {
    FaultOwner.REPLICA: _ERROR_GATES,
    FaultOwner.HOST: _ERROR_GATES | _LATENCY_GATES,
    FaultOwner.GATEWAY: _LATENCY_GATES,
    FaultOwner.CLIENT: frozenset[str](),
}
"""Which failed gates are not the version's fault when somebody else is to blame."""


def judge(comparison: Comparison, policy: RolloutSpec, now: datetime) -> Verdict:
    """Return PASS, FAIL or INSUFFICIENT, with the reason, the numbers and the time to decide."""
    if comparison.tripped:
        return Verdict(
            outcome=Outcome.FAIL, reason=comparison.tripped, at=now, acts_at_once=True,
            comparison=comparison,
        )  # fmt: skip
    gating = [gate for gate in comparison.gates if gate.is_gating]
    failed = [gate for gate in gating if gate.outcome is Outcome.FAIL]
    blame = comparison.attribution
    excused = _EXCUSES.get(blame.owner, frozenset())
    if failed and all(gate.gate in excused for gate in failed):
        return _insufficient(
            comparison, now, f"{_say(failed[0])}; but {blame.detail}",
            blocked_by=f"{blame.owner.value} {blame.subject}".strip(),
        )  # fmt: skip
    if comparison.invalid:
        return _insufficient(comparison, now, comparison.invalid, blocked_by="sample ratio")
    if failed:
        reason = "; ".join(_say(gate) for gate in failed)
        return Verdict(outcome=Outcome.FAIL, reason=reason, at=now, comparison=comparison)
    return _pass_or_wait(comparison, gating, policy, now)


def _pass_or_wait(
    comparison: Comparison, gating: list[GateResult], policy: RolloutSpec, now: datetime
) -> Verdict:
    if comparison.candidate_requests == 0:
        return _insufficient(comparison, now, "the candidate has answered no request yet")
    mirrors = policy.strategy == "shadow" or policy.shadow is not None
    was_compared = any(gate.gate == "agreement" for gate in gating)
    if policy.gates.agreement is not None and mirrors and not was_compared:
        return _insufficient(comparison, now, "no shadow answer was compared yet")
    open_gates = [gate for gate in gating if gate.outcome is Outcome.INSUFFICIENT]
    if not open_gates:
        reason = "; ".join(_say(gate) for gate in gating)
        return Verdict(outcome=Outcome.PASS, reason=reason, at=now, comparison=comparison)
    times = [gate.decide_in_s for gate in open_gates]
    decide_in_s = None if None in times else max(time for time in times if time is not None)
    return Verdict(
        outcome=Outcome.INSUFFICIENT,
        reason="; ".join(_say(gate) for gate in open_gates),
        at=now,
        decide_in_s=decide_in_s,
        comparison=comparison,
    )


def _insufficient(
    comparison: Comparison, now: datetime, reason: str, blocked_by: str = ""
) -> Verdict:
    return Verdict(
        outcome=Outcome.INSUFFICIENT, reason=reason, at=now, blocked_by=blocked_by,
        comparison=comparison,
    )  # fmt: skip


def _say(gate: GateResult) -> str:
    text = f"{gate.gate} {gate.outcome.value}: {gate.detail}"
    if gate.requests_to_decide is None:
        return text
    wait = "" if gate.decide_in_s is None else f", about {gate.decide_in_s:.0f} s"
    return f"{text}; {gate.requests_to_decide} more requests decide{wait}"
