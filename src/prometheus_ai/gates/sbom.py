"""Gate: what is inside is known."""

from prometheus_ai.domain.gate import Evidence, RuleResult
from prometheus_ai.domain.gate_policy import OnOffRule
from prometheus_ai.gates.verdict import against, passed, skipped

RULE = "sbom"


def judge(evidence: Evidence, rule: OnOffRule) -> RuleResult:
    """Demand a complete list of packages."""
    if rule.mode == "off":
        return skipped(RULE, "the policy does not ask for a list of packages")
    sbom = evidence.sbom
    if sbom is None:
        return against(RULE, rule.mode, "there is no list of packages")
    if sbom.unread:
        return against(RULE, rule.mode, f"{len(sbom.unread)} things could not be read", sbom.unread)
    return passed(RULE, f"{len(sbom.components)} packages in {sbom.files} files are known")
