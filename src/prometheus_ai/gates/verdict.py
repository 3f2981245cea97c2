"""Turning what a rule found into what it says, by its mode."""

from datetime import datetime

from prometheus_ai.domain.gate import Evidence, RuleOutcome, RuleResult
from prometheus_ai.domain.gate_policy import Mode

EVIDENCE_MAX = 20
NO_IMAGE = "there is no image: none is made yet, or the target runs none"


def passed(
    rule: str, message: str, evidence: tuple[str, ...] = (), until: datetime | None = None
) -> RuleResult:
    """Say that nothing speaks against it."""
    return RuleResult(
        rule=rule, outcome=RuleOutcome.PASS, message=message, evidence=_some(evidence), until=until
    )


def skipped(rule: str, message: str) -> RuleResult:
    """Say that the rule does not apply."""
    return RuleResult(rule=rule, outcome=RuleOutcome.SKIP, message=message)


def not_asked(rule: str, mode: Mode, evidence: Evidence) -> RuleResult | None:
    """Say that a rule about images does not apply: there is no image, or the rule is switched off."""
    if evidence.image and mode != "off":
        return None
    return skipped(rule, "switched off" if evidence.image else NO_IMAGE)


def against(
    rule: str, mode: Mode, message: str, evidence: tuple[str, ...] = (), hint: str = ""
) -> RuleResult:
    """Say what speaks against it: a refusal, or a warning where the policy only warns."""
    outcome = RuleOutcome.REFUSE if mode == "enforce" else RuleOutcome.WARN
    return RuleResult(
        rule=rule, outcome=outcome, message=message, evidence=_some(evidence), hint=hint
    )


def _some(evidence: tuple[str, ...]) -> tuple[str, ...]:
    if len(evidence) <= EVIDENCE_MAX:
        return evidence
    return (*evidence[:EVIDENCE_MAX], f"… and {len(evidence) - EVIDENCE_MAX} more")
