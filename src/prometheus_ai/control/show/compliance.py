"""The compliance report: what runs, from what, who approved it, and which controls that meets."""

from dataclasses import dataclass
from datetime import datetime

from prometheus_ai import __version__
from prometheus_ai.control.gates.explain import explain
from prometheus_ai.control.gates.records import Decided, gate_of, latest
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.show.status import existing, flags_of, in_percent
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.event import AuditRecord, Kind
from prometheus_ai.domain.release import Release, ReleasePhase
from prometheus_ai.gates.controls import Control, Facts, controls
from prometheus_ai.ports.state_store import Reading

RECORDS_MAX = 5000
"""Newest records of a backend that are searched for approvals."""
APPROVALS = frozenset(
    {
        Kind.RELEASE_CREATED, Kind.GATE_PASSED, Kind.GATE_REFUSED, Kind.GATE_FLAGGED,
        Kind.GATE_CLEARED, Kind.SIGNATURE_ADDED, Kind.ROUTE_WANTED, Kind.ROLLOUT_BEGUN,
        Kind.ROLLOUT_ENDED, Kind.ROLLOUT_ROLLED_BACK,
    }
)  # fmt: skip
_RUNS = frozenset({ReleasePhase.STARTING, ReleasePhase.READY})


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """One record of the audit log that led to what runs."""

    index: int
    leaf_hash: str
    """In hex; with the log's root and an inclusion proof it shows that the record was not changed."""
    at: str
    kind: str
    actor: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedBy:
    """One signature or attestation, as the policy's keys see it."""

    key: str
    subject: str
    predicate: str
    problem: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseReport:
    """One release that runs."""

    version: str
    digest: str
    weight: float
    """Percent of traffic in force."""
    target: str
    model: str
    model_digest: str
    lock_digest: str
    image: str
    runtime: str
    python: str
    created_at: datetime
    created_by: str
    packages: int
    weaknesses: int | None
    """None where packages were not compared with advisories."""
    allowed: bool
    decided_at: datetime
    policy_digest: str
    document: str
    """Digest of the decision's record: evidence, policy and answer."""
    replays: bool
    flag: str
    signatures: tuple[SignedBy, ...]
    approvals: tuple[Approval, ...]
    controls: tuple[Control, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Compliance:
    """The whole report about one backend."""

    backend: str
    installation: str
    platform: str
    made_at: datetime
    log_size: int
    log_root: str
    """Merkle root over the first ``log_size`` records, in hex."""
    log_problem: str
    releases: tuple[ReleaseReport, ...]


def compliance(plane: Plane, name: str) -> Compliance:
    """Report on every release of a backend that runs.

    Raises:
        NotFound: there is no such backend, or nothing of it runs.
    """
    gate_of(plane)
    with plane.store.read() as reading:
        backend = existing(reading, name)
        running = {s.version for s in reading.release_states(name) if s.phase in _RUNS}
        releases = [one for one in reading.releases(name) if one.version in running]
        records = reading.latest_audit_records(RECORDS_MAX, name)
        head = reading.audit_head()
        installation = reading.setting("installation") or ""
        signed = _signatures(reading, releases)
    if not releases:
        raise NotFound(f"nothing of {name} runs", hint="`pai status` shows what there is")
    weights = in_percent(backend.in_force)
    flags = flags_of(plane)
    return Compliance(
        backend=name,
        installation=installation,
        platform=f"prometheus-ai {__version__}",
        made_at=plane.clock.now(),
        log_size=head.size if head else 0,
        log_root=head.root_hash.hex() if head else "",
        log_problem=plane.audit_problem,
        releases=tuple(
            _release(
                plane, one, (*records, *signed), weights.get(one.version, 0.0),
                flags.get((name, one.version), ""),
            )
            for one in releases
        ),
    )  # fmt: skip


def _signatures(reading: Reading, releases: list[Release]) -> list[AuditRecord]:
    """Return records of signatures, which name a digest and no backend."""
    if not releases:
        return []
    return [
        one
        for one in reading.latest_audit_records(RECORDS_MAX)
        if one.event.get("kind") == Kind.SIGNATURE_ADDED
    ]


def _release(
    plane: Plane, release: Release, records: tuple[AuditRecord, ...], weight: float, flag: str
) -> ReleaseReport:
    decided = latest(plane, release.backend, release.version)
    evidence, report = decided.evidence, decided.report
    approvals = _approvals(release, decided, records)
    replays = explain(plane, release.backend, release.version).replays
    return ReleaseReport(
        version=release.version,
        digest=release.digest,
        weight=weight,
        target=release.spec.target,
        model=release.inputs.model.name,
        model_digest=release.inputs.model.digest,
        lock_digest=release.inputs.lock.digest,
        image=evidence.image,
        runtime=release.inputs.runtime,
        python=release.inputs.python,
        created_at=release.created_at,
        created_by=release.created_by,
        packages=len(evidence.sbom.components) if evidence.sbom else 0,
        weaknesses=None if evidence.vulnerabilities is None else len(evidence.vulnerabilities),
        allowed=report.allowed,
        decided_at=report.at,
        policy_digest=report.policy_digest,
        document=decided.document,
        replays=replays,
        flag=flag,
        signatures=tuple(
            SignedBy(key=one.key, subject=one.subject, predicate=one.predicate, problem=one.problem)
            for one in dict.fromkeys(
                (*evidence.model_signatures, *evidence.image_signatures, *evidence.attestations)
            )
        ),
        approvals=approvals,
        controls=controls(
            Facts(
                evidence=evidence,
                report=report,
                document=decided.document,
                model=release.inputs.model.digest,
                lock=release.inputs.lock.digest,
                records=tuple(one.index for one in approvals),
                is_container=bool(evidence.image),
                replays=replays,
            )
        ),
    )


def _approvals(
    release: Release, decided: Decided, records: tuple[AuditRecord, ...]
) -> tuple[Approval, ...]:
    subjects = {release.inputs.model.digest, release.digest, decided.evidence.image}
    found = {
        one.index: Approval(
            index=one.index,
            leaf_hash=one.leaf_hash.hex(),
            at=str(one.event.get("at", "")),
            kind=str(one.event.get("kind", "")),
            actor=str(one.event.get("actor", "")),
            reason=str(one.event.get("reason", "")),
        )
        for one in records
        if one.event.get("kind") in APPROVALS and _is_about(release, subjects, one)
    }
    return tuple(found[index] for index in sorted(found))


def _is_about(release: Release, subjects: set[str], record: AuditRecord) -> bool:
    if record.event.get("kind") == Kind.SIGNATURE_ADDED:
        return (record.event.get("after") or {}).get("subject") in subjects
    return record.event.get("version") == release.version
