"""Trivy, Grype and Syft: their answers read, united with ours by alias, and their failures taken for what they are."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.adapters.scanners.programs import GRYPE, SYFT, TRIVY, Program
from prometheus_ai.domain.gate import Component, Severity, Vulnerability
from prometheus_ai.gates.opinions import merge, unlisted

# The fields and nesting are those that grype 0.8x, trivy 0.5x and syft 1.x print; the rest is left out.
GRYPE_SAYS = {
    "matches": [
        {
            "vulnerability": {
                "id": "GHSA-6hrg-qmvc-2xh8", "severity": "Critical", "namespace": "github:language:python",
                "description": "joblib vulnerable to arbitrary code execution",
                "cvss": [{"version": "3.1", "metrics": {"baseScore": 9.8}}],
                "fix": {"versions": ["1.2.0"], "state": "fixed"},
            },
            "relatedVulnerabilities": [{"id": "CVE-2022-21797", "severity": "Critical"}],
            "artifact": {
                "name": "joblib", "version": "1.1.0", "type": "python", "purl": "pkg:pypi/joblib@1.1.0",
                "locations": [{"path": "/opt/venv/lib/python3.11/site-packages/joblib-1.1.0.dist-info/METADATA"}],
            },
        },
        {
            "vulnerability": {"id": "CVE-2023-1", "severity": "Negligible", "cvss": [],
                              "fix": {"versions": [], "state": "wont-fix"}},
            "relatedVulnerabilities": [],
            "artifact": {"name": "libc6", "version": "2.36-9", "type": "deb", "locations": []},
        },
    ],
    "descriptor": {"name": "grype", "version": "0.87.0"},
}  # fmt: skip
TRIVY_SAYS = {
    "SchemaVersion": 2, "ArtifactName": "image.tar", "ArtifactType": "container_image",
    "Results": [
        {"Target": "image.tar (debian 12.9)", "Class": "os-pkgs", "Type": "debian"},
        {
            "Target": "Python", "Class": "lang-pkgs", "Type": "python-pkg",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2022-21797", "PkgName": "joblib", "InstalledVersion": "1.1.0",
                    "PkgPath": "opt/venv/lib/python3.11/site-packages/joblib-1.1.0.dist-info/METADATA",
                    "FixedVersion": "1.2.0, 1.1.1", "Status": "fixed", "Severity": "HIGH",
                    "Title": "joblib: arbitrary code", "CVSS": {"nvd": {"V3Score": 9.8}, "ghsa": {"V2Score": 1}},
                }
            ],
        },
    ],
}  # fmt: skip
SYFT_SAYS = {
    "artifacts": [
        {"name": "joblib", "version": "1.1.0", "type": "python", "purl": "pkg:pypi/joblib@1.1.0",
         "locations": [{"path": "/opt/venv/x"}]},
        {"name": "hidden", "version": "2.0", "type": "python", "locations": [{"path": "/opt/hidden"}]},
        {"name": "busybox", "version": "1.36", "type": "binary", "locations": []},
    ],
    "descriptor": {"name": "syft", "version": "1.18.1"},
}  # fmt: skip
OURS = Vulnerability(
    id="CVE-2022-21797", aliases=("CVE-2022-21797", "GHSA-6hrg-qmvc-2xh8", "PYSEC-2022-288"),
    severity=Severity.HIGH, package="Joblib", version="1.1.0", ecosystem="PyPI",
    fixed_in=("1.2.0",), sources=("osv",),
)  # fmt: skip


# Whole answers, with every field that the programs' own published examples have around what is read.
TRIVY_WHOLE = {
    "SchemaVersion": 2, "Trivy": {"Version": "0.69.1"}, "ReportID": "017b7d41-e09f-7000-80ea-000000000001",
    "CreatedAt": "2026-08-25T12:20:30.000000005Z", "ArtifactName": "image.tar",
    "ArtifactType": "container_image",
    "Metadata": {
        "Size": 1024, "OS": {"Family": "debian", "Name": "10.1"}, "ImageID": "sha256:" + "c2" * 32,
        "DiffIDs": ["sha256:" + "78" * 32],
        "ImageConfig": {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}},
    },
    "Results": [
        {
            "Target": "image.tar (debian 10.1)", "Class": "os-pkgs", "Type": "debian",
            "Packages": [{"ID": "bash@5.0-4", "Name": "bash", "Version": "5.0-4"}],
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2019-18276", "PkgID": "bash@5.0-4", "PkgName": "bash",
                    "PkgIdentifier": {"PURL": "pkg:deb/debian/bash@5.0-4?arch=amd64", "UID": "8b02ba2c"},
                    "InstalledVersion": "5.0-4", "Status": "affected", "SeveritySource": "debian",
                    "Layer": {"Digest": "sha256:" + "4a" * 32, "DiffID": "sha256:" + "78" * 32},
                    "DataSource": {"ID": "debian", "Name": "Debian Security Tracker", "URL": "https://x"},
                    "Title": "bash: saved UID", "Description": "long", "Severity": "LOW",
                    "CweIDs": ["CWE-273"], "VendorSeverity": {"debian": 1, "nvd": 3},
                    "CVSS": {
                        "nvd": {"V2Vector": "AV:L", "V3Vector": "CVSS:3.1/AV:L", "V2Score": 7.2, "V3Score": 7.8},
                        "ghsa": {"V40Vector": "CVSS:4.0/AV:L", "V40Score": 8.4},
                    },
                    "References": ["https://x"], "PublishedDate": "2019-11-28T01:15:00Z",
                },
                {
                    "VulnerabilityID": "CVE-2019-18224", "VendorIDs": ["DSA-4613-1"],
                    "PkgID": "libidn2-0@2.0.5-1", "PkgName": "libidn2-0", "InstalledVersion": "2.0.5-1",
                    "FixedVersion": "2.0.5-1+deb10u1", "Status": "fixed", "Severity": "UNKNOWN",
                },
            ],
        },
        {"Target": "Node.js", "Class": "lang-pkgs", "Type": "node-pkg", "Vulnerabilities": None},
    ],
}  # fmt: skip
GRYPE_WHOLE = {
    "matches": [
        {
            "vulnerability": {
                "id": "GHSA-rrqc-c2jx-6jgv", "dataSource": "https://x", "namespace": "github:language:python",
                "severity": "Medium", "urls": ["https://x"], "description": "enumeration",
                "cvss": [
                    {"source": "security-advisories@github.com", "type": "Secondary", "version": "3.1",
                     "vector": "CVSS:3.1/AV:N", "metrics": {"baseScore": 5.3, "impactScore": 1.4},
                     "vendorMetadata": {}},
                    {"type": "Secondary", "version": "4.0", "vector": "CVSS:4.0/AV:N",
                     "metrics": {"baseScore": 6.9}, "vendorMetadata": {}},
                ],
                "epss": [{"cve": "CVE-2024-45231", "epss": 0.03, "percentile": 0.42, "date": "2026-01-01"}],
                "fix": {"versions": ["4.2.16"], "state": "fixed"}, "advisories": [], "risk": 1.68,
            },
            "relatedVulnerabilities": [
                {
                    "id": "CVE-2024-45231", "namespace": "nvd:cpe", "severity": "Medium", "urls": [], "cvss": [],
                    "knownExploited": [{"cve": "CVE-2024-45231", "knownRansomwareCampaignUse": "Unknown"}],
                }
            ],
            "matchDetails": [
                {"type": "exact-direct-match", "matcher": "python-matcher",
                 "searchedBy": {"language": "python", "package": {"name": "django", "version": "4.2.1"}},
                 "found": {"versionConstraint": "<4.2.16 (python)"}, "fix": {"suggestedVersion": "4.2.16"}}
            ],
            "artifact": {
                "id": "a246fd2054833c93", "name": "django", "version": "4.2.1", "type": "python",
                "locations": [{"path": "/opt/METADATA", "layerID": "sha256:00", "accessPath": "/opt/METADATA"}],
                "language": "python", "licenses": ["BSD"], "cpes": ["cpe:2.3:a:x:django:4.2.1"],
                "purl": "pkg:pypi/django@4.2.1", "upstreams": [],
            },
        },
        {
            "vulnerability": {
                "id": "CVE-2005-2541", "severity": "Unknown", "fix": {"versions": None, "state": "not-fixed"},
                "cvss": None, "advisories": None,
            },
            "relatedVulnerabilities": None,
            "artifact": {"name": "tar", "version": "1.34", "type": "deb", "locations": None,
                         "metadataType": "DpkgMetadata"},
        },
    ],
    "ignoredMatches": [],
    "source": {"type": "image", "target": {"userInput": "image.tar", "layers": []}},
    "distro": {"name": "debian", "version": "12", "idLike": []},
    "descriptor": {
        "name": "grype", "version": "0.104.1", "timestamp": "2026-01-01T00:00:00Z",
        "db": {"status": {"schemaVersion": "v6.1.7", "built": "2026-01-01T00:00:00Z", "valid": True}},
    },
}  # fmt: skip


def said(program: Program, answer: Any) -> Any:
    return program.understand(json.dumps(answer).encode())


def test_grype_is_read() -> None:
    found = said(GRYPE, GRYPE_SAYS)
    assert (found.scanner, found.problem) == ("grype 0.87.0", "")
    joblib, libc = found.vulnerabilities
    assert (joblib.id, joblib.severity, joblib.score) == ("CVE-2022-21797", Severity.CRITICAL, 9.8)
    assert joblib.aliases == ("CVE-2022-21797", "GHSA-6hrg-qmvc-2xh8")
    assert (joblib.ecosystem, joblib.fixed_in) == ("PyPI", ("1.2.0",))
    assert (libc.severity, libc.ecosystem, libc.fixed_in) == (Severity.LOW, "Debian", ())


def test_trivy_is_read() -> None:
    (one,) = said(TRIVY, TRIVY_SAYS).vulnerabilities
    assert (one.id, one.severity, one.score) == ("CVE-2022-21797", Severity.HIGH, 9.8)
    assert one.fixed_in == ("1.2.0", "1.1.1")


def test_whole_answers_are_read_with_their_absent_lists_and_unknown_ratings() -> None:
    found = said(TRIVY, TRIVY_WHOLE)
    assert (found.scanner, found.problem) == ("trivy 0.69.1", "")
    bash, idn = found.vulnerabilities
    assert (bash.severity, bash.score, bash.fixed_in, bash.ecosystem) == (
        Severity.LOW, 8.4, (), "Debian",
    )  # fmt: skip
    assert (idn.severity, idn.aliases) == (Severity.UNRATED, ("CVE-2019-18224", "DSA-4613-1"))
    found = said(GRYPE, GRYPE_WHOLE)
    assert (found.scanner, found.problem) == ("grype 0.104.1", "")
    django, tar = found.vulnerabilities
    assert (django.id, django.is_known_exploited, django.score) == ("CVE-2024-45231", True, 6.9)
    assert (tar.severity, tar.fixed_in, tar.location) == (Severity.UNRATED, (), "")


def test_a_system_past_its_end_of_support_is_a_problem() -> None:
    old = TRIVY_WHOLE["Metadata"] | {"OS": {"Family": "alpine", "Name": "3.9.4", "EOSL": True}}  # type: ignore[operator]
    found = said(TRIVY, TRIVY_WHOLE | {"Metadata": old})
    assert "alpine 3.9.4 is past its end of support" in found.problem
    assert found.vulnerabilities


def test_the_same_weakness_by_three_scanners_is_one_at_its_worst() -> None:
    others = (*said(GRYPE, GRYPE_SAYS).vulnerabilities, *said(TRIVY, TRIVY_SAYS).vulnerabilities)
    worst, other = merge((OURS,), others)
    assert worst.sources == ("osv", "grype", "trivy")
    assert worst.severity is Severity.CRITICAL
    assert worst.fixed_in == ("1.2.0", "1.1.1")
    assert other.id == "CVE-2023-1"


def test_a_package_that_only_syft_found_is_named() -> None:
    own = (Component(name="Joblib", version="1.1.0", ecosystem="PyPI", purl=""),)
    assert unlisted(own, said(SYFT, SYFT_SAYS).components) == ("hidden 2.0 at /opt/hidden",)


@pytest.mark.parametrize("program", [GRYPE, TRIVY, SYFT])
@pytest.mark.parametrize(
    "answer", [None, [], {}, {"matches": [{}]}, {"SchemaVersion": 9}, {"artifacts": 3}]
)
def test_an_answer_that_cannot_be_read_is_a_problem(program: Program, answer: Any) -> None:
    assert said(program, answer).problem
    assert program.understand(b"not json").problem


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo '{\"artifacts\": []}'", ""),
        ("echo oh >&2; exit 3", "ended with 3: oh"),
        ("echo nothing", "read"),
    ],
)
def test_a_program_that_fails_is_a_problem_and_no_all_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, problem: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    path = tmp_path / "syft"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    assert SYFT.is_here()
    found = SYFT.look(tmp_path / "image.tar")
    assert (problem in found.problem) if problem else not found.problem


names = st.sampled_from(["CVE-1", "CVE-2", "GHSA-1", "GHSA-2"])
findings = st.builds(
    Vulnerability,
    id=names,
    aliases=st.lists(names, max_size=3).map(tuple),
    severity=st.sampled_from(list(Severity)),
    package=st.sampled_from(["a", "b"]),
    version=st.just("1"),
    ecosystem=st.just("PyPI"),
)


@given(own=st.lists(findings, max_size=4), others=st.lists(findings, max_size=4))
def test_uniting_loses_no_name_and_no_severity(
    own: list[Vulnerability], others: list[Vulnerability]
) -> None:
    united = merge(own, others)
    for one in (*own, *others):
        assert any(
            one.package == found.package
            and {one.id, *one.aliases} <= {found.id, *found.aliases}
            and list(Severity).index(found.severity) >= list(Severity).index(one.severity)
            for found in united
        )  # fmt: skip
