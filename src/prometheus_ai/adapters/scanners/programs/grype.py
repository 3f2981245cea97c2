"""Grype's answer."""

from typing import Any

from prometheus_ai.adapters.scanners.programs.ecosystems import ecosystem_of
from prometheus_ai.adapters.scanners.programs.program import Program
from prometheus_ai.domain.gate import Severity, Vulnerability
from prometheus_ai.ports.second_opinion import Opinion

_SEVERITIES = {
    "critical": Severity.CRITICAL, "high": Severity.HIGH, "medium": Severity.MEDIUM,
    "low": Severity.LOW, "negligible": Severity.LOW,
}  # fmt: skip


def read_grype(found: Any) -> Opinion:
    """Read ``grype -o json``."""
    version = (found.get("descriptor") or {}).get("version", "")
    return Opinion(
        scanner=f"grype {version}".strip(),
        vulnerabilities=tuple(_vulnerability(one) for one in found["matches"]),
    )


def _vulnerability(match: Any) -> Vulnerability:
    said, artefact = match["vulnerability"], match["artifact"]
    related = (match.get("relatedVulnerabilities") or []) + (
        said.get("relatedVulnerabilities") or []
    )
    names = {str(said["id"]), *(str(one["id"]) for one in related)}
    scores = [
        float(one["metrics"]["baseScore"])
        for one in said.get("cvss") or ()
        if "baseScore" in (one.get("metrics") or {})
    ]
    places = artefact.get("locations") or [{}]
    return Vulnerability(
        id=min((name for name in names if name.startswith("CVE-")), default=str(said["id"])),
        aliases=tuple(sorted(names)),
        severity=_SEVERITIES.get(str(said.get("severity", "")).lower(), Severity.UNRATED),
        score=max(scores, default=None),
        package=str(artefact["name"]),
        version=str(artefact["version"]),
        ecosystem=ecosystem_of(str(artefact.get("type", ""))),
        fixed_in=tuple(str(one) for one in (said.get("fix") or {}).get("versions") or ()),
        is_known_exploited=any(one.get("knownExploited") for one in (said, *related)),
        summary=str(said.get("description", ""))[:300],
        location=str(places[0].get("path", "")),
        sources=("grype",),
    )


GRYPE = Program(
    name="grype", words=("docker-archive:{image}", "-o", "json", "--quiet"), read=read_grype
)
