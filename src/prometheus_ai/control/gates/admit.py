"""Admission: evidence is gathered, the policy decides, the decision is recorded."""

import json
import re
from dataclasses import replace
from datetime import datetime
from typing import Any

import rfc8785
from pydantic import TypeAdapter

from prometheus_ai.control.gates.image_evidence import with_image
from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Gate, Plane
from prometheus_ai.domain.errors import PlatformError, Refused
from prometheus_ai.domain.event import Kind
from prometheus_ai.domain.gate import (
    AdvisoryData,
    Candidate,
    Component,
    Evidence,
    GateReport,
    ModelFinding,
    ModelScan,
    RuleOutcome,
    Sbom,
    SignatureCheck,
    Vulnerability,
)
from prometheus_ai.domain.gate_policy import Policy, Section
from prometheus_ai.domain.release import Artefact, Release
from prometheus_ai.domain.spec import Spec
from prometheus_ai.gates import evaluate, read_policy
from prometheus_ai.gates.opinions import merge
from prometheus_ai.gates.vulnerabilities import DATA_RULE

ACTOR = "gate"
POLICY_FILE = "policy.yaml"
SCANS_MAX = 1000
EARLY_RULES = frozenset({"model-files"})
"""What can be judged from the model alone, before anything is made of it."""

_EVIDENCE = TypeAdapter(Evidence)
_REPORT = TypeAdapter(GateReport)
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def check_model(plane: Plane, spec: Spec, model: Artefact) -> None:
    """Refuse a model that is not safe to load, before anything loads it to see what it is.

    Raises:
        Refused: the policy's rule on model files says no; the refusal is recorded.
    """
    if plane.gate is None:
        return
    policy = _policy(plane.gate)
    section = policy.section_of(spec.name, spec.target)
    scan = scan_of(plane, plane.gate, model, section)
    candidate = Candidate(
        backend=spec.name, version="", target=spec.target,
        model_digest=model.digest, allow_pickle=spec.model.allow_pickle,
    )  # fmt: skip
    report = evaluate(candidate, Evidence(model=scan), policy, plane.clock.now())
    refusals = tuple(one for one in report.refusals if one.rule in EARLY_RULES)
    if refusals:
        _record(plane, plane.gate, candidate, Evidence(model=scan), report)
        raise Refused(refusals[0].message, hint=refusals[0].hint)


def check_upload(plane: Plane, model: Artefact, *, allow_pickle: bool) -> None:
    """Refuse to inspect a model that would run unknown code; of no backend yet, so no rule but the scan's applies.

    Raises:
        Refused: it is not safe to load.
    """
    if plane.gate is None or not allow_pickle:
        return
    section = _policy(plane.gate).section_of("", "local")
    scan = scan_of(plane, plane.gate, model, section)
    if scan.runs_code and not scan.is_clean:
        raise Refused(f"{model.name} is not safe to load: {_first(scan)}", hint="do not load it")


def admit(plane: Plane, release: Release) -> None:
    """Decide about a release before something of it starts; record the decision when it is a new one.

    Raises:
        Refused: the policy does not let it run.
        Corrupted, NotFound: its model is not what was deployed.
    """
    if plane.gate is None:
        return
    report = judge(plane, plane.gate, release)
    if not report.allowed:
        first = report.refusals[0]
        raise Refused(
            f"the gate refuses {release.id} on {report.target}: {first.message}", hint=first.hint
        )


def judge(plane: Plane, gate: Gate, release: Release) -> GateReport:
    """Return the decision about a release as everything is now, recorded when it is a new one.

    Raises:
        InvalidSpec: the policy cannot be read.
        Corrupted, NotFound: its model is not what was deployed.
    """
    policy = _policy(gate)
    section = policy.section_of(release.backend, release.spec.target)
    evidence = _gather(plane, gate, release, policy, section)
    candidate = _candidate(release, _admitted_at(plane, release, evidence.subject))
    report = evaluate(candidate, evidence, policy, plane.clock.now())
    _record(plane, gate, candidate, evidence, report)
    return report


def scan_of(plane: Plane, gate: Gate, model: Artefact, section: Section) -> ModelScan:
    """Return the scan of a stored model; the same bytes, rules and names are looked at once in a process."""
    allow = frozenset(section.model_files.allow)
    key = (model.digest, gate.models.name, allow)
    with gate.lock:
        known = gate.scans.get(key)
    if known is not None:
        return known
    path = plane.artefacts.open_path(model)
    try:
        scan = gate.models.scan(path, model.digest, allow)
    except PlatformError:
        raise
    except Exception as error:  # noqa: BLE001
        # A file that breaks the scanner may break it on purpose: that speaks against the file.
        return _unread(model, gate.models.name, error)
    with gate.lock:
        if len(gate.scans) >= SCANS_MAX:
            gate.scans.pop(next(iter(gate.scans)))
        gate.scans[key] = scan
    return scan


def _unread(model: Artefact, scanner: str, error: Exception) -> ModelScan:
    crash = ModelFinding(
        kind="malformed", message=f"the scanner broke off: {error!r}", file=model.name
    )
    return ModelScan(
        digest=model.digest, formats=(), runs_code=True, findings=(crash,), files=1,
        bytes_total=model.size_bytes, bytes_read=0, scanner=scanner,
    )  # fmt: skip


def _candidate(release: Release, admitted_at: datetime | None) -> Candidate:
    return Candidate(
        backend=release.backend,
        version=release.version,
        target=release.spec.target,
        model_digest=release.inputs.model.digest,
        allow_pickle=release.spec.model.allow_pickle,
        labels=release.spec.labels,
        admitted_at=admitted_at,
    )


def _admitted_at(plane: Plane, release: Release, subject: str) -> datetime | None:
    """Return when fresh data last let this very subject run: another image of the release is another matter."""
    with plane.store.read() as reading:
        held = json.loads(reading.setting(_admission(release.backend, release.version)) or "{}")
    if not subject or held.get("subject") != subject:
        return None
    return datetime.fromisoformat(held["at"])


def _gather(
    plane: Plane, gate: Gate, release: Release, policy: Policy, section: Section
) -> Evidence:
    known = with_image(
        plane,
        gate,
        release,
        Evidence(
            model=scan_of(plane, gate, release.inputs.model, section),
            model_signatures=signatures_of(plane, gate, release.inputs.model.digest, policy),
            sbom=Sbom(subject=release.inputs.lock.digest, components=_locked(plane, release)),
        ),
    )
    components = known.sbom.components if known.sbom else ()
    advisories, found = _weaknesses(gate, components, section)
    if found is not None:
        found = merge(found, known.image_others)
    # Of a target that runs images, nothing but the image is the subject, once it is made.
    subject = known.image or ("" if release.spec.target in plane.builders else release.digest)
    said = signatures_of(plane, gate, subject, policy) if subject else ()
    return replace(
        known, advisories=advisories, vulnerabilities=found, subject=subject, attestations=said,
        image_signatures=said if known.image else (),
    )  # fmt: skip


def _locked(plane: Plane, release: Release) -> tuple[Component, ...]:
    """Return the packages that a release's lock pins."""
    text = b"".join(plane.artefacts.read(release.inputs.lock.digest)).decode("utf-8", "replace")
    return tuple(
        Component(
            name=name, version=version, ecosystem="PyPI",
            purl=f"pkg:pypi/{name.lower().replace('_', '-')}@{version}", location="requirements.lock",
        )
        for name, version in _PINNED.findall(text)
    )  # fmt: skip


def _weaknesses(
    gate: Gate, components: tuple[Component, ...], section: Section
) -> tuple[AdvisoryData, tuple[Vulnerability, ...] | None]:
    if section.vulnerabilities.mode == "off":
        return AdvisoryData(), None
    try:
        data = gate.advisories.status()
        return data, gate.advisories.match(components) if data.digest else None
    except Exception:  # noqa: BLE001
        # A database that cannot be read, whatever the reason, is none: the rule on its age then says so.
        return AdvisoryData(), None


def signatures_of(
    plane: Plane, gate: Gate, digest: str, policy: Policy
) -> tuple[SignatureCheck, ...]:
    """Verify every stored signature over a digest with the policy's keys as they are now."""
    with plane.store.read() as reading:
        bundles = json.loads(reading.setting(signatures_setting(digest)) or "[]")
    return tuple(
        gate.signatures.verify(b"".join(gate.evidence.read(bundle)), policy.keys, digest)
        for bundle in bundles
    )


def signatures_setting(digest: str) -> str:
    """Return the setting that lists the bundles over a digest."""
    return f"signatures/{digest}"


def _policy(gate: Gate) -> Policy:
    return read_policy(gate.policy(), POLICY_FILE)


def _first(scan: ModelScan) -> str:
    if scan.findings:
        return f"{scan.findings[0].file} {scan.findings[0].message}"
    return "not every byte was understood"


def _record(
    plane: Plane, gate: Gate, candidate: Candidate, evidence: Evidence, report: GateReport
) -> None:
    """Keep evidence, policy and report; write an event when the answer or what led to it changed."""
    document: dict[str, Any] = {
        "candidate": {
            "backend": candidate.backend, "version": candidate.version, "target": candidate.target,
            "model_digest": candidate.model_digest, "allow_pickle": candidate.allow_pickle,
            "labels": dict(candidate.labels),
            "admitted_at": candidate.admitted_at.isoformat() if candidate.admitted_at else None,
        },
        "evidence": _EVIDENCE.dump_python(evidence, mode="json"),
        "policy": _policy(gate).model_dump(mode="json"),
        "report": _REPORT.dump_python(report, mode="json"),
    }  # fmt: skip
    digest = gate.evidence.put_stream([rfc8785.dumps(document)], expected=None)
    after = {
        "allowed": report.allowed,
        "section": report.section,
        "policy": report.policy_digest,
        "refused_by": [one.rule for one in report.refusals],
        "warned_by": [one.rule for one in report.results if one.outcome is RuleOutcome.WARN],
        "model": candidate.model_digest,
        "image": evidence.image,
        "advisories": evidence.advisories.digest,
    }
    name = report_setting(candidate.backend, candidate.version)
    with plane.lock, plane.store.write() as tx:
        before = json.loads(tx.setting(name) or "{}")
        tx.put_setting(name, json.dumps({"document": digest, "after": after}))
        if report.allowed and evidence.subject and _is_by_fresh_data(report):
            admitted = {"subject": evidence.subject, "at": report.at.isoformat()}
            tx.put_setting(_admission(candidate.backend, candidate.version), json.dumps(admitted))
        if before.get("after") == after:
            return
        note(
            plane,
            tx,
            Kind.GATE_PASSED if report.allowed else Kind.GATE_REFUSED,
            Change(
                actor=ACTOR,
                reason=_in_words(report),
                about=(candidate.backend, candidate.version or None),
                after={**after, "document": digest},
            ),
        )


def _in_words(report: GateReport) -> str:
    """Return what a decision says: why it refuses, or which rules only warn."""
    if report.refusals:
        return report.refusals[0].message
    warned = [one for one in report.results if one.outcome is RuleOutcome.WARN]
    if not warned:
        return "every rule agrees"
    said = "; ".join(f"{one.rule}: {one.message}" for one in warned)
    return f"no rule refuses, {len(warned)} warned: {said}"


def _is_by_fresh_data(report: GateReport) -> bool:
    return any(one.rule == DATA_RULE and one.outcome is RuleOutcome.PASS for one in report.results)


def _admission(backend: str, version: str) -> str:
    return f"gate-admitted/{backend}/{version}"


def report_setting(backend: str, version: str) -> str:
    """Return the setting that names the latest decision about a release."""
    return f"gate/{backend}/{version}"
