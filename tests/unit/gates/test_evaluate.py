"""The gate as a decider: what each rule says of which evidence."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prometheus_ai.domain.errors import InvalidSpec
from prometheus_ai.domain.gate import (
    AdvisoryData,
    Candidate,
    Evidence,
    GateReport,
    Hardening,
    ModelScan,
    RuleOutcome,
    Sbom,
    SecretFinding,
    Severity,
    SignatureCheck,
    Vulnerability,
)
from prometheus_ai.gates import (
    DEFAULT_POLICY,
    PREDICATES,
    STRICT_POLICY,
    evaluate,
    policy_digest,
    read_policy,
)
from prometheus_ai.gates.signatures import IMAGE_PREDICATE, MODEL_PREDICATE

NOW = datetime(2026, 1, 10, tzinfo=UTC)
MODEL, IMAGE = "sha256:" + "aa" * 32, "sha256:" + "bb" * 32
SCAN = ModelScan(
    digest=MODEL, formats=("onnx",), runs_code=False, findings=(), files=1, bytes_total=9,
    bytes_read=9, scanner="test",
)  # fmt: skip
FRESH = AdvisoryData(
    digest="sha256:00",
    ecosystems=("PyPI",),
    advisories=1,
    newest_at=NOW - timedelta(days=1),
    imported_at=NOW,
)
CRITICAL = Vulnerability(
    id="CVE-1", aliases=("CVE-1", "GHSA-1"), severity=Severity.CRITICAL, package="joblib",
    version="1.1.0", ecosystem="PyPI", fixed_in=("1.2.0",),
)  # fmt: skip
GOOD = Evidence(
    model=SCAN,
    model_signatures=(SignatureCheck(key="release", subject=MODEL, predicate=MODEL_PREDICATE),),
    image=IMAGE,
    image_signatures=(SignatureCheck(key="release", subject=IMAGE, predicate=IMAGE_PREDICATE),),
    sbom=Sbom(subject=IMAGE, components=()),
    vulnerabilities=(),
    advisories=FRESH,
    secrets=(),
    hardening=Hardening(user="10001:10001", read_only_root=True, no_new_privileges=True),
    subject=IMAGE,
    attestations=tuple(
        SignatureCheck(key="release", subject=IMAGE, predicate=PREDICATES[kind])
        for kind in ("provenance", "sbom", "scan")
    ),
)
CANDIDATE = Candidate(backend="digits", version="v1", target="site", model_digest=MODEL)
STRICT = read_policy(STRICT_POLICY, "strict")


def judge(evidence: Evidence, text: str | None = None, now: datetime = NOW) -> GateReport:
    policy = STRICT if text is None else read_policy(text, "policy.yaml")
    return evaluate(CANDIDATE, evidence, policy, now)


def refused_by(report: GateReport) -> set[str]:
    return {one.rule for one in report.refusals}


def test_what_has_all_its_evidence_runs() -> None:
    report = judge(GOOD)
    assert report.allowed
    assert report.look_again_at == FRESH.newest_at + timedelta(days=7) if FRESH.newest_at else False


def test_no_evidence_is_no_permission() -> None:
    report = judge(Evidence(image=IMAGE))
    assert refused_by(report) >= {
        "model-files", "model-signature", "image-signature", "sbom", "advisory-data",
        "vulnerabilities", "secrets", "hardening", "attestations",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"model": replace(SCAN, bytes_read=8)}, "model-files"),
        ({"model": replace(SCAN, digest="sha256:other")}, "model-files"),
        ({"model": replace(SCAN, runs_code=True)}, "model-files"),
        ({"model_signatures": ()}, "model-signature"),
        ({"image_signatures": (SignatureCheck(key="release", subject=MODEL, predicate=IMAGE_PREDICATE),)},
         "image-signature"),
        ({"image_signatures": (SignatureCheck(key="release", subject=IMAGE, predicate="https://cyclonedx.org/bom"),)},
         "image-signature"),
        ({"sbom": Sbom(subject=IMAGE, components=(), unread=("layer 3",))}, "sbom"),
        ({"vulnerabilities": (CRITICAL,)}, "vulnerabilities"),
        ({"vulnerabilities": (replace(CRITICAL, severity=Severity.UNRATED),)}, "vulnerabilities"),
        ({"vulnerabilities": (replace(CRITICAL, severity=Severity.LOW, is_known_exploited=True),)},
         "vulnerabilities"),
        ({"advisories": replace(FRESH, newest_at=NOW - timedelta(days=8))}, "advisory-data"),
        ({"advisories": AdvisoryData()}, "advisory-data"),
        ({"secrets": (SecretFinding(rule="r", file="f", line=1),)}, "secrets"),
        ({"hardening": Hardening(user="root", read_only_root=True, no_new_privileges=True)}, "hardening"),
        ({"hardening": Hardening(user="0", read_only_root=True, no_new_privileges=True)}, "hardening"),
    ],
)  # fmt: skip
def test_each_lack_refuses_by_its_own_rule(change: dict[str, object], rule: str) -> None:
    assert refused_by(judge(replace(GOOD, **change))) == {rule}  # type: ignore[arg-type]


def risk(expires: str, extra: str = "") -> str:
    return STRICT_POLICY.replace(
        "accepted_risks: []",
        f"accepted_risks: [{{id: GHSA-1, owner: ops, reason: none, expires: {expires}{extra}}}]",
    )


def test_an_accepted_risk_covers_until_it_expires() -> None:
    bad = replace(GOOD, vulnerabilities=(CRITICAL,))
    until = datetime(2026, 1, 12, tzinfo=UTC)
    text = risk("2026-01-12T00:00:00Z")
    assert judge(bad, text).allowed
    assert judge(bad, text).look_again_at == until
    assert not judge(bad, text, until).allowed
    assert not judge(bad, risk("2026-01-12T00:00:00Z", ", packages: [numpy]")).allowed
    assert not judge(bad, risk("2026-01-12T00:00:00Z", f", digest: '{MODEL[:-1]}0'")).allowed


def test_vex_takes_a_finding_away_only_with_a_justification() -> None:
    bad = replace(GOOD, vulnerabilities=(CRITICAL,))
    said = "vex: [{id: CVE-1, status: not_affected, justification: vulnerable_code_not_present}]\n"
    assert judge(bad, STRICT_POLICY + said).allowed
    assert not judge(
        bad, STRICT_POLICY + "vex: [{id: CVE-1, status: under_investigation}]\n"
    ).allowed
    with pytest.raises(InvalidSpec):
        read_policy(STRICT_POLICY + "vex: [{id: CVE-1, status: not_affected}]\n", "policy.yaml")


def test_two_keys_are_two_signatures_and_one_key_twice_is_one() -> None:
    text = STRICT_POLICY.replace(
        "model_signature: {mode: enforce}", "model_signature: {mode: enforce, count: 2}"
    )
    assert refused_by(judge(replace(GOOD, model_signatures=GOOD.model_signatures * 2), text)) == {
        "model-signature"
    }
    other = replace(GOOD.model_signatures[0], key="audit")
    assert judge(replace(GOOD, model_signatures=(*GOOD.model_signatures, other)), text).allowed


def test_a_warning_does_not_refuse() -> None:
    text = "version: 1\nsections: [{name: all, vulnerabilities: {mode: warn}}]\n"
    report = judge(replace(GOOD, vulnerabilities=(CRITICAL,)), text)
    assert report.allowed
    assert RuleOutcome.WARN in {one.outcome for one in report.results}


@pytest.mark.parametrize(
    "text",
    ["", "sections: []", "sections: [{name: a, targets: [local]}]", "sections: [{name: a, colour: red}]",
     "version: 2\nsections: [{name: a}]", "sections: [{name: a, model_signature: {keys: [nobody]}}]",
     "sections: [{name: a}]\naccepted_risks: [{id: CVE-1, owner: o, reason: r, expires: 2026-01-01}]"],
)  # fmt: skip
def test_a_policy_with_a_fault_is_an_error(text: str) -> None:
    with pytest.raises(InvalidSpec):
        read_policy(text, "policy.yaml")


def test_the_digest_is_of_the_content_not_of_the_writing() -> None:
    one = read_policy(DEFAULT_POLICY, "a")
    other = read_policy("# another comment\n" + DEFAULT_POLICY, "b")
    assert policy_digest(one) == policy_digest(other) != policy_digest(STRICT)


BLIND = (
    {"advisories": AdvisoryData(), "vulnerabilities": None},
    {"advisories": replace(FRESH, newest_at=NOW - timedelta(days=8))},
    {"vulnerabilities": None},
    {"sbom": replace(GOOD.sbom, unread=("layer 3",)) if GOOD.sbom else None},
    {"secrets": None},
    {"vulnerabilities": (CRITICAL,)},
    {"vulnerabilities": (replace(CRITICAL, severity=Severity.LOW, is_known_exploited=True),)},
)


@pytest.mark.parametrize("change", BLIND)
def test_by_default_a_target_refuses_what_was_not_seen_or_can_be_mended(
    change: dict[str, object],
) -> None:
    assert judge(GOOD, DEFAULT_POLICY).allowed
    assert not judge(replace(GOOD, **change), DEFAULT_POLICY).allowed


@pytest.mark.parametrize("change", [*BLIND[:4], *BLIND[5:]])
def test_by_default_this_machine_warns_of_the_same(change: dict[str, object]) -> None:
    candidate = replace(CANDIDATE, target="local")
    policy = read_policy(DEFAULT_POLICY, "policy.yaml")
    assert evaluate(candidate, replace(GOOD, **change), policy, NOW).allowed


def test_by_default_a_critical_weakness_without_a_fix_is_no_refusal_but_strictly_it_is() -> None:
    evidence = replace(GOOD, vulnerabilities=(replace(CRITICAL, fixed_in=()),))
    assert judge(evidence, DEFAULT_POLICY).allowed
    assert not judge(evidence).allowed


STALE_SINCE = NOW + timedelta(days=6)
"""When ``FRESH`` is a week old."""


def judge_admitted(now: datetime, evidence: Evidence = GOOD) -> GateReport:
    return evaluate(replace(CANDIDATE, admitted_at=NOW), evidence, STRICT, now)


def test_data_that_grew_old_lets_start_again_what_fresh_data_let_run_and_says_so() -> None:
    assert refused_by(judge(GOOD, now=STALE_SINCE)) == {"advisory-data"}
    report = judge_admitted(STALE_SINCE)
    assert report.allowed
    (warned,) = [one for one in report.results if one.outcome is RuleOutcome.WARN]
    assert warned.rule == "advisory-data"
    assert "7 are allowed; fresh data let it run on 2026-01-10" in warned.message
    assert report.look_again_at == NOW + timedelta(days=29)


def test_old_data_refuses_in_the_end_what_it_let_run() -> None:
    assert judge_admitted(NOW + timedelta(days=29) - timedelta(seconds=1)).allowed
    assert refused_by(judge_admitted(NOW + timedelta(days=29))) == {"advisory-data"}


def test_what_ran_before_is_judged_by_everything_else_as_ever() -> None:
    known = replace(GOOD, vulnerabilities=(CRITICAL,))
    assert refused_by(judge_admitted(STALE_SINCE, known)) == {"vulnerabilities"}
    absent = replace(GOOD, advisories=AdvisoryData())
    assert refused_by(judge_admitted(STALE_SINCE, absent)) == {"advisory-data"}


def test_an_old_base_and_one_of_unknown_age_are_refused_where_the_policy_asks() -> None:
    text = "version: 1\nsections: [{name: all, base: {mode: enforce, age_days_max: 90}}]\n"
    young = Hardening(user="10001", read_only_root=True, no_new_privileges=True,
                      base_created_at=NOW - timedelta(days=80))  # fmt: skip
    report = judge(replace(GOOD, hardening=young), text)
    assert report.allowed
    later = judge(replace(GOOD, hardening=young), text, now=NOW + timedelta(days=5))
    assert later.look_again_at == NOW + timedelta(days=6)
    assert "base-age" in refused_by(
        judge(replace(GOOD, hardening=young), text, NOW + timedelta(days=10))
    )
    assert "base-age" in refused_by(judge(GOOD, text))
