"""Gate: the container runs with as little power as it can."""

from prometheus_ai.domain.gate import Evidence, RuleResult
from prometheus_ai.domain.gate_policy import OnOffRule
from prometheus_ai.gates.verdict import against, passed, skipped

RULE = "hardening"


def judge(evidence: Evidence, rule: OnOffRule) -> RuleResult:
    """Refuse root, a writable root, capabilities and gaining privileges."""
    if rule.mode == "off" or not evidence.image:
        return skipped(RULE, "this target runs no image" if not evidence.image else "switched off")
    how = evidence.hardening
    if how is None:
        return against(RULE, rule.mode, "it is not known how the container will run")
    user = how.user.partition(":")[0]
    wrong = tuple(
        text
        for is_wrong, text in (
            (not user.isdigit(), f"the user {how.user!r} is no number, so it may be root"),
            (user.isdigit() and int(user) == 0, "it runs as root"),
            (not how.read_only_root, "its root file system can be written"),
            (bool(how.capabilities), f"it keeps {', '.join(how.capabilities)}"),
            (not how.no_new_privileges, "it may gain privileges"),
        )
        if is_wrong
    )
    if wrong:
        return against(RULE, rule.mode, wrong[0], wrong)
    return passed(RULE, "not root, read-only, no capabilities, no new privileges")
