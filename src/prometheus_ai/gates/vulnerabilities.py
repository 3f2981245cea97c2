"""Gates: no known weakness that the policy blocks, by data that is fresh enough to say so."""

from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from prometheus_ai.domain.gate import Candidate, Evidence, RuleResult, Severity, Vulnerability
from prometheus_ai.domain.gate_policy import AcceptedRisk, Policy, VexStatement, VulnerabilityRule
from prometheus_ai.gates.verdict import against, passed, skipped

RULE = "vulnerabilities"
DATA_RULE = "advisory-data"
_HARMLESS = frozenset({"not_affected", "fixed"})
_ORDER = list(Severity)


def judge(
    candidate: Candidate,
    evidence: Evidence,
    rule: VulnerabilityRule,
    policy: Policy,
    now: datetime,
) -> tuple[RuleResult, RuleResult]:
    """Judge the data first, then what it says."""
    if rule.mode == "off":
        reason = "the policy does not ask for advisories"
        return skipped(DATA_RULE, reason), skipped(RULE, reason)
    return (
        _judge_data(candidate, evidence, rule, now),
        _judge_findings(candidate, evidence, rule, policy, now),
    )


def _judge_data(
    candidate: Candidate, evidence: Evidence, rule: VulnerabilityRule, now: datetime
) -> RuleResult:
    data = evidence.advisories
    if not data.digest or data.newest_at is None:
        return against(
            DATA_RULE, rule.mode, "there is no advisory database",
            hint="`pai advisories update URL` or `pai advisories import FILE`",
        )  # fmt: skip
    facts = (
        f"{data.advisories} advisories for {', '.join(data.ecosystems)}, {data.known_exploited} known exploited",
        f"newest of {data.newest_at.isoformat()}, imported {data.imported_at}",
        data.digest,
    )
    until = data.newest_at + timedelta(days=rule.data_age_days_max)
    if now >= until:
        message = (
            f"the advisory data is {(now - data.newest_at).days} days old; "
            f"{rule.data_age_days_max:g} are allowed"
        )
        ends = data.newest_at + timedelta(days=rule.admitted_data_age_days_max)
        if rule.mode == "enforce" and candidate.admitted_at is not None and now < ends:
            return _as_before(message, facts, candidate.admitted_at, ends)
        return against(DATA_RULE, rule.mode, message, facts, "`pai advisories update`")
    return passed(DATA_RULE, "the advisory data is fresh", facts, until)


def _as_before(
    message: str, facts: tuple[str, ...], admitted_at: datetime, ends: datetime
) -> RuleResult:
    """Warn of old data that lets start again what fresh data let run: an outage would make nothing safer."""
    more = f"fresh data let it run on {admitted_at.date()}, so it starts again until {ends.date()}"
    warned = against(DATA_RULE, "warn", f"{message}; {more}", facts, "`pai advisories update`")
    return replace(warned, until=ends)


def _judge_findings(
    candidate: Candidate,
    evidence: Evidence,
    rule: VulnerabilityRule,
    policy: Policy,
    now: datetime,
) -> RuleResult:
    found = evidence.vulnerabilities
    if found is None:
        return against(RULE, rule.mode, "packages were not compared with advisories")
    blocked: list[Vulnerability] = []
    facts: list[str] = []
    until: datetime | None = None
    for one in sorted(found, key=_rank):
        excuse, ends = _excuse(one, candidate, evidence, policy, now)
        if not _blocks(one, rule):
            continue
        if excuse and ends is not None:
            until = ends if until is None else min(until, ends)
        if not excuse:
            blocked.append(one)
        facts.append(_in_words(one) + (f" — {excuse}" if excuse else ""))
    if blocked:
        worst = blocked[0]
        fix = f"; fixed in {', '.join(worst.fixed_in)}" if worst.fixed_in else "; no fix is known"
        return against(
            RULE, rule.mode,
            f"{len(blocked)} blocked weaknesses, the worst {worst.id} ({worst.severity.value}) "
            f"in {worst.package} {worst.version}{fix}",
            tuple(facts), _advice(worst),
        )  # fmt: skip
    said = f"none of {len(found)} known weaknesses is blocked" if found else "no weakness is known"
    result = passed(RULE, said, tuple(facts))
    return replace(result, until=until)


def _advice(worst: Vulnerability) -> str:
    if worst.fixed_in:
        return f"update {worst.package}"
    return "accept the risk in the policy, with an owner and a date"


def _rank(one: Vulnerability) -> tuple[bool, int, str]:
    return (not one.is_known_exploited, -_ORDER.index(one.severity), one.id)


def _blocks(one: Vulnerability, rule: VulnerabilityRule) -> bool:
    if rule.fixable_only and not one.fixed_in:
        return False
    return one.severity in rule.block or (one.is_known_exploited and rule.known_exploited)


def _excuse(
    one: Vulnerability, candidate: Candidate, evidence: Evidence, policy: Policy, now: datetime
) -> tuple[str, datetime | None]:
    names = {one.id, *one.aliases}
    for statement in policy.vex:
        if _speaks(statement, one, names) and statement.status in _HARMLESS:
            return f"VEX: {statement.status} {statement.justification}".rstrip(), None
    for risk in policy.accepted_risks:
        if _covers(risk, one, names, candidate, evidence) and now < risk.expires:
            return (
                f"accepted by {risk.owner} until {risk.expires.date()}: {risk.reason}",
                risk.expires,
            )
    return "", None


def _speaks(statement: VexStatement, one: Vulnerability, names: set[str]) -> bool:
    return statement.id in names and any(fnmatchcase(one.package, p) for p in statement.packages)


def _covers(
    risk: AcceptedRisk,
    one: Vulnerability,
    names: set[str],
    candidate: Candidate,
    evidence: Evidence,
) -> bool:
    return (
        risk.id in names
        and any(fnmatchcase(one.package, pattern) for pattern in risk.packages)
        and any(fnmatchcase(candidate.backend, pattern) for pattern in risk.backends)
        and risk.digest in (None, evidence.image, candidate.model_digest)
    )


def _in_words(one: Vulnerability) -> str:
    exploited = ", known exploited" if one.is_known_exploited else ""
    fix = f", fixed in {', '.join(one.fixed_in)}" if one.fixed_in else ", no fix"
    return f"{one.id} {one.severity.value}{exploited}: {one.package} {one.version}{fix}"
