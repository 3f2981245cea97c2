"""Recorded decisions, read back as the values that they were made of."""

import json
from dataclasses import dataclass

from pydantic import TypeAdapter

from prometheus_ai.control.gates.admit import report_setting
from prometheus_ai.control.plane import Gate, Plane
from prometheus_ai.domain.errors import NotFound, Unsupported
from prometheus_ai.domain.gate import Candidate, Evidence, GateReport
from prometheus_ai.domain.gate_policy import Policy
from prometheus_ai.domain.release import Release

_CANDIDATE = TypeAdapter(Candidate)
_EVIDENCE = TypeAdapter(Evidence)
_REPORT = TypeAdapter(GateReport)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """One decision with everything that led to it."""

    candidate: Candidate
    evidence: Evidence
    policy: Policy
    report: GateReport
    document: str
    """Digest of the record."""


def gate_of(plane: Plane) -> Gate:
    """Return the gate.

    Raises:
        Unsupported: this control plane has none.
    """
    if plane.gate is None:
        raise Unsupported("this control plane has no gate")
    return plane.gate


def latest(plane: Plane, backend: str, version: str | None = None) -> Decided:
    """Return the latest decision about a release; of the newest one that was decided about by default.

    Raises:
        NotFound: no decision is recorded.
        Unsupported: this control plane has no gate.
    """
    gate = gate_of(plane)
    with plane.store.read() as reading:
        names = [version] if version else [r.version for r in reversed(reading.releases(backend))]
        if version is None:
            names.append("")
        found = next(
            (text for name in names if (text := reading.setting(report_setting(backend, name)))),
            None,
        )
    if found is None:
        raise NotFound(
            f"no decision about {backend}{f'/{version}' if version else ''} is recorded",
            hint="the gate decides when a backend is deployed and before every start",
        )
    return read_decision(gate, json.loads(found)["document"])


def read_decision(gate: Gate, digest: str) -> Decided:
    """Return a decision by the digest of its record.

    Raises:
        NotFound, Corrupted: the record is not there as it was stored.
    """
    document = json.loads(b"".join(gate.evidence.read(digest)))
    return Decided(
        candidate=_CANDIDATE.validate_python(document["candidate"]),
        evidence=_EVIDENCE.validate_python(document["evidence"]),
        policy=Policy.model_validate(document["policy"]),
        report=_REPORT.validate_python(document["report"], strict=False),
        document=digest,
    )


def release_of(plane: Plane, backend: str, version: str | None) -> Release:
    """Return a release; the newest one by default.

    Raises:
        NotFound: there is none.
    """
    with plane.store.read() as reading:
        history = reading.releases(backend)
    found = [one for one in history if version in (None, one.version)]
    if not found:
        raise NotFound(f"there is no release {backend}/{version or ''}".rstrip("/"))
    return found[-1]
