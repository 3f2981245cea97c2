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
