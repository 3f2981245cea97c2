"""Gate: the container runs with as little power as it can."""

from prometheus_ai.domain.gate import Evidence, Hardening, RuleResult
from prometheus_ai.domain.gate_policy import HardeningRule
from prometheus_ai.gates.verdict import against, not_asked, passed

RULE = "hardening"
_ALSO = {
    "tmp_noexec": "programs in /tmp can be executed",
    "seccomp": "no filter of system calls is set",
    "pids": "it may have more processes than usual",
}


def judge(evidence: Evidence, rule: HardeningRule) -> RuleResult:
    """Refuse root, a writable root, capabilities and gaining privileges, but for reasoned exceptions."""
    if aside := not_asked(RULE, rule.mode, evidence):
        return aside
    how = evidence.hardening
    if how is None:
        return against(RULE, rule.mode, "it is not known how the container will run")
    found = _relaxed(how)
    wrong = {
        field: text
        for field, text in found.items()
        if field not in rule.allow or field not in how.exceptions
    }
    if wrong:
        asked = [field for field in wrong if field in how.exceptions]
        hint = f"the policy may allow it: hardening: {{allow: [{', '.join(asked)}]}}"
        texts = tuple(wrong.values())
        return against(RULE, rule.mode, texts[0], texts, hint=hint if asked else "")
    if found:
        accepted = tuple(f"{text}: {how.exceptions[field]}" for field, text in found.items())
        return passed(RULE, f"the policy allows {', '.join(found)}", accepted)
    return passed(RULE, "not root, read-only, no capabilities, no new privileges")


def _relaxed(how: Hardening) -> dict[str, str]:
    """Return what is less than hardened, by the field of the spec that would say so."""
    user = how.user.partition(":")[0]
    found = {}
    if not user.isdigit():
        found["user"] = f"the user {how.user!r} is no number, so it may be root"
    elif int(user) == 0:
        found["user"] = "it runs as root"
    elif "user" in how.exceptions:
        found["user"] = f"it runs as user {user}, who may own something"
    if not how.read_only_root:
        found["read_only_root"] = "its root file system can be written"
    if how.capabilities:
        found["capabilities"] = f"it keeps {', '.join(how.capabilities)}"
    if not how.no_new_privileges:
        found["no_new_privileges"] = "it may gain privileges"
    return {**found, **{name: text for name, text in _ALSO.items() if name in how.exceptions}}
