"""All gates over one candidate."""

from datetime import datetime

from prometheus_ai.domain.gate import Candidate, Evidence, GateReport, RuleOutcome, RuleResult
from prometheus_ai.domain.gate_policy import Policy
from prometheus_ai.gates import (
    attestations,
    base,
    hardening,
    licences,
    model_files,
    sbom,
    secrets,
    signatures,
    vulnerabilities,
)
from prometheus_ai.gates.policy_text import policy_digest


def evaluate(candidate: Candidate, evidence: Evidence, policy: Policy, now: datetime) -> GateReport:
    """Decide whether a release may run on its target; every rule is asked, even after one refused."""
    section = policy.section_of(candidate.backend, candidate.target)
    results: tuple[RuleResult, ...] = (
        model_files.judge(candidate, evidence, section.model_files),
        signatures.judge_model(candidate, evidence, section.model_signature),
        signatures.judge_image(evidence, section.image_signature),
        attestations.judge(evidence, section.attestations),
        sbom.judge(evidence, section.sbom),
        *vulnerabilities.judge(candidate, evidence, section.vulnerabilities, policy, now),
        secrets.judge(evidence, section.secrets),
        hardening.judge(evidence, section.hardening),
        licences.judge(evidence, section.licences),
        base.judge(evidence, section.base, now),
    )
    moments = [one.until for one in results if one.until is not None and one.until > now]
    return GateReport(
        backend=candidate.backend,
        version=candidate.version,
        target=candidate.target,
        allowed=all(one.outcome is not RuleOutcome.REFUSE for one in results),
        section=section.name,
        policy_digest=policy_digest(policy),
        results=results,
        at=now,
        look_again_at=min(moments, default=None),
    )
