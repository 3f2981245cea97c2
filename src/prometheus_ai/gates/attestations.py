"""Gate: signed statements about what runs; and the content of ours."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from prometheus_ai.domain.gate import Evidence, GateReport, RuleResult, SignatureCheck
from prometheus_ai.domain.gate_policy import AttestationRule
from prometheus_ai.domain.release import Release
from prometheus_ai.gates.verdict import against, passed, skipped

RULE = "attestations"
PREDICATES: Mapping[str, str] = {
    "provenance": "https://slsa.dev/provenance/v1",
    "sbom": "https://cyclonedx.org/bom",
    "scan": "https://cosign.sigstore.dev/attestation/vuln/v1",
    "decision": "https://slsa.dev/verification_summary/v1",
}
BUILD_TYPE = "urn:prometheus-ai:build:v1"
PASSED, FAILED = "PASSED", "FAILED"


def judge(evidence: Evidence, rule: AttestationRule) -> RuleResult:
    """Demand statements about this very subject by keys of the policy; a decision must say that it passed."""
    if rule.mode == "off":
        return skipped(RULE, "the policy does not ask for attestations")
    subject = evidence.subject or evidence.image
    if not subject:
        return skipped(RULE, "its image is not made yet")
    missing = tuple(
        kind
        for kind in rule.demand
        if not any(_counts(one, kind, subject, rule) for one in evidence.attestations)
    )
    facts = tuple(_in_words(one) for one in evidence.attestations)
    if missing:
        return against(
            RULE, rule.mode, f"no signed {' and no signed '.join(missing)} about {subject}",
            facts, "`pai gate attest NAME --key KEY`, and name its public key in the policy",
        )  # fmt: skip
    return passed(RULE, f"signed: {', '.join(rule.demand)}", facts)


def _counts(one: SignatureCheck, kind: str, subject: str, rule: AttestationRule) -> bool:
    return (
        bool(one.key)
        and not one.problem
        and one.subject == subject
        and one.predicate == PREDICATES[kind]
        and (not rule.keys or one.key in rule.keys)
        and (kind != "decision" or one.verdict == PASSED)
    )


def _in_words(one: SignatureCheck) -> str:
    verdict = f" {one.verdict}" if one.verdict else ""
    return f"{one.key or 'unknown key'}: {one.problem or one.predicate}{verdict} over {one.subject}"


def provenance(release: Release, builder: str, image: str) -> dict[str, Any]:
    """Return SLSA provenance (v1): what a release was made of, by whom."""
    inputs = release.inputs
    runtime, _, runtime_digest = inputs.runtime.partition("+sha256:")
    named = (
        (inputs.model.name, inputs.model.digest),
        (inputs.lock.name, inputs.lock.digest),
        (f"prometheus-ai-runtime {runtime}", f"sha256:{runtime_digest}"),
    )
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "spec": release.spec.model_dump(mode="json", exclude_defaults=True),
            },
            "internalParameters": {
                "engine": inputs.engine, "python": inputs.python, "target": release.spec.target,
            },
            "resolvedDependencies": [
                {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
                for name, digest in named
            ],
        },
        "runDetails": {
            "builder": {"id": builder},
            "metadata": {
                "invocationId": release.digest, "startedOn": release.created_at.isoformat(),
            },
            "byproducts": [{"name": "image", "digest": _hex(image)}] if image else [],
        },
    }  # fmt: skip


def scan(evidence: Evidence, at: str) -> dict[str, Any]:
    """Return what was found in packages, with the data that it was judged by."""
    data = evidence.advisories
    return {
        "invocation": {"uri": "urn:prometheus-ai:gate", "parameters": []},
        "scanner": {
            "uri": "urn:prometheus-ai:advisories",
            "version": evidence.model.scanner if evidence.model else "",
            "db": {
                "uri": data.digest,
                "lastUpdate": data.newest_at.isoformat() if data.newest_at else "",
            },
            "result": [
                {
                    "id": one.id, "severity": one.severity.value, "package": one.package,
                    "version": one.version, "fixedIn": list(one.fixed_in),
                    "knownExploited": one.is_known_exploited,
                }
                for one in evidence.vulnerabilities or ()
            ],
            "compared": evidence.vulnerabilities is not None,
            "secrets": None if evidence.secrets is None else len(evidence.secrets),
            "model": asdict(evidence.model) if evidence.model else None,
        },
        "metadata": {"scanStartedOn": at, "scanFinishedOn": at},
    }  # fmt: skip


def decision(report: GateReport, release: Release, document: str) -> dict[str, Any]:
    """Return a verification summary (SLSA): what the gate decided, by which policy, from which record."""
    return {
        "verifier": {"id": "urn:prometheus-ai:gate"},
        "timeVerified": report.at.isoformat(),
        "resourceUri": f"urn:prometheus-ai:release:{release.id}@{release.digest}",
        "policy": {"uri": "urn:prometheus-ai:policy", "digest": _hex(report.policy_digest)},
        "inputAttestations": [{"uri": "urn:prometheus-ai:record", "digest": _hex(document)}],
        "verificationResult": PASSED if report.allowed else FAILED,
        "verifiedLevels": [],
    }


def _hex(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}
