"""Gate: the base image is not too old."""

from datetime import datetime, timedelta

from prometheus_ai.domain.gate import Evidence, RuleResult
from prometheus_ai.domain.gate_policy import BaseRule
from prometheus_ai.gates.verdict import against, not_asked, passed

RULE = "base-age"


def judge(evidence: Evidence, rule: BaseRule, now: datetime) -> RuleResult:
    """Refuse a base that was made too long ago, or nobody knows when."""
    if aside := not_asked(RULE, rule.mode, evidence):
        return aside
    made = evidence.hardening.base_created_at if evidence.hardening else None
    if made is None:
        return against(RULE, rule.mode, "it is not known how old the base is")
    until = made + timedelta(days=rule.age_days_max)
    if now >= until:
        return against(RULE, rule.mode, f"the base was made {(now - made).days} days ago")
    return passed(RULE, f"the base was made {(now - made).days} days ago", until=until)
