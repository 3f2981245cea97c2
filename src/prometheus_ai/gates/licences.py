"""Gate: no package has a licence that the policy denies."""

from fnmatch import fnmatchcase

from prometheus_ai.domain.gate import Evidence, RuleResult
from prometheus_ai.domain.gate_policy import LicenceRule
from prometheus_ai.gates.verdict import against, passed, skipped

RULE = "licences"


def judge(evidence: Evidence, rule: LicenceRule) -> RuleResult:
    """Refuse denied licences; a package without a stated one is shown, not refused."""
    if rule.mode == "off":
        return skipped(RULE, "the policy names no licences")
    if evidence.sbom is None:
        return against(RULE, rule.mode, "there is no list of packages to look at")
    denied = tuple(
        f"{one.name} {one.version}: {licence}"
        for one in evidence.sbom.components
        for licence in one.licences
        if any(fnmatchcase(licence.lower(), pattern.lower()) for pattern in rule.deny)
    )
    if denied:
        return against(RULE, rule.mode, f"{len(denied)} packages: {denied[0]}", denied)
    silent = sum(not one.licences for one in evidence.sbom.components)
    return passed(RULE, f"none is denied; {silent} packages state none")
