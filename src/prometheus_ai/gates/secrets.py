"""Gate: no credential lies in any layer."""

from prometheus_ai.domain.gate import Evidence, RuleResult
from prometheus_ai.domain.gate_policy import OnOffRule
from prometheus_ai.gates.verdict import against, not_asked, passed

RULE = "secrets"


def judge(evidence: Evidence, rule: OnOffRule) -> RuleResult:
    """Refuse an image that carries a credential, deleted later or not."""
    if aside := not_asked(RULE, rule.mode, evidence):
        return aside
    if evidence.secrets is None:
        return against(RULE, rule.mode, "the layers were not searched")
    if evidence.secrets:
        found = tuple(
            f"{one.file}:{one.line} {one.rule}: {one.excerpt}" for one in evidence.secrets
        )
        return against(
            RULE, rule.mode, f"{len(found)} credentials in the layers: {found[0]}", found,
            "revoke them, pass secrets by reference, and build the image anew",
        )  # fmt: skip
    return passed(RULE, "no layer carries a credential")
