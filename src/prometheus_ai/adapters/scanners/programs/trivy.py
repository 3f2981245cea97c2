"""Trivy's answer."""

from typing import Any

from prometheus_ai.adapters.scanners.programs.ecosystems import ecosystem_of
from prometheus_ai.adapters.scanners.programs.program import Program
from prometheus_ai.domain.gate import Severity, Vulnerability
from prometheus_ai.ports.second_opinion import Opinion

_SEVERITIES = {one.value: one for one in Severity}


def read_trivy(found: Any) -> Opinion:
    """Read ``trivy image --format json``."""
    if found["SchemaVersion"] != 2:
        raise ValueError(f"schema {found['SchemaVersion']} is not known")
    version = (found.get("Trivy") or {}).get("Version", "")
    system = (found.get("Metadata") or {}).get("OS") or {}
    said = f"{system.get('Family', '')} {system.get('Name', '')} is past its end of support"
    return Opinion(
        scanner=f"trivy {version}".strip(),
        vulnerabilities=tuple(
            _vulnerability(one, str(result.get("Type", "")))
            for result in found.get("Results") or ()
            for one in result.get("Vulnerabilities") or ()
        ),
        # Nobody reports weaknesses of such a system any more: an empty list says nothing about it.
        problem=f"{said}, so its weaknesses are not known" if system.get("EOSL") else "",
    )


def _vulnerability(one: Any, kind: str) -> Vulnerability:
    names = {str(one["VulnerabilityID"]), *(str(name) for name in one.get("VendorIDs") or ())}
    scores = [
        float(said[kind])
        for said in (one.get("CVSS") or {}).values()
        for kind in ("V40Score", "V3Score")
        if kind in said
    ]
    fixed = str(one.get("FixedVersion", ""))
    return Vulnerability(
        id=str(one["VulnerabilityID"]),
        aliases=tuple(sorted(names)),
        severity=_SEVERITIES.get(str(one.get("Severity", "")).lower(), Severity.UNRATED),
        score=max(scores, default=None),
        package=str(one["PkgName"]),
        version=str(one["InstalledVersion"]),
        ecosystem=ecosystem_of(kind),
        fixed_in=tuple(text.strip() for text in fixed.split(",") if text.strip()),
        summary=str(one.get("Title", ""))[:300],
        location=str(one.get("PkgPath", "")),
        sources=("trivy",),
    )


TRIVY = Program(
    name="trivy",
    words=("image", "--input", "{image}", "--format", "json", "--scanners", "vuln", "--quiet"),
    read=read_trivy,
)
