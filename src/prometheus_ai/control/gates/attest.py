"""What can be said about a release, for its owner to sign: provenance, packages, findings, the decision."""

import json
from dataclasses import dataclass
from typing import Any

from prometheus_ai.control.gates.records import gate_of, latest, release_of
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.errors import NotReady, Refused
from prometheus_ai.domain.gate import Sbom
from prometheus_ai.gates import PREDICATES, attestations

INSTALLATION = "installation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsigned:
    """A statement that waits for a signature; whoever signs it answers for it."""

    kind: str
    """``provenance``, ``sbom``, ``scan`` or ``decision``."""
    subject: str
    """Digest of the image, or of the release where its target runs none."""
    name: str
    predicate_type: str
    predicate: dict[str, Any]


def statements(plane: Plane, backend: str, version: str | None = None) -> tuple[Unsigned, ...]:
    """Return what can be said about a release, from the gate's latest record about it.

    A decision is among them only when it lets the release run.

    Raises:
        NotFound: there is no such release, or no decision about it.
        NotReady: its image was not looked into yet.
    """
    gate = gate_of(plane)
    found = latest(plane, backend, version)
    if not found.candidate.version:
        raise Refused(
            f"{backend} has no release yet: its model was refused",
            hint="`pai gate explain` says why",
        )
    release = release_of(plane, backend, found.candidate.version)
    evidence = found.evidence
    if release.spec.target in plane.builders and not evidence.image:
        raise NotReady(f"the image of {release.id} was not looked into yet")
    with plane.store.read() as reading:
        home = reading.setting(INSTALLATION) or "unknown"
    at = found.report.at.isoformat()
    subject = evidence.image or release.digest
    sbom = evidence.sbom or Sbom(subject=subject, components=())
    said = {
        "provenance": attestations.provenance(
            release, f"urn:prometheus-ai:installation:{home}", evidence.image
        ),
        "sbom": json.loads(gate.images.write_sbom(sbom, release.id, at)),
        "scan": attestations.scan(evidence, at),
    }
    if found.report.allowed:
        said["decision"] = attestations.decision(found.report, release, found.document)
    return tuple(
        Unsigned(
            kind=kind, subject=subject, name=release.id,
            predicate_type=PREDICATES[kind], predicate=predicate,
        )
        for kind, predicate in said.items()
    )  # fmt: skip
