"""Advisories: orders of versions, ranges, united names, and what is refused."""

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.adapters.scanners.advisories import SqliteAdvisories
from prometheus_ai.adapters.scanners.advisories.matching import is_affected
from prometheus_ai.adapters.scanners.advisories.severity import base_score
from prometheus_ai.adapters.scanners.advisories.versions import compare_debian
from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.domain.gate import Component, Severity

DATA = Path(__file__).resolve().parents[2] / "data" / "advisories" / "pypi.json"
DEBIAN_VERSIONS = st.from_regex(
    r"([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z+~.]{1,4})?", fullmatch=True
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pack(path: Path, records: list[dict[str, Any]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for record in records:
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    return path


@pytest.fixture
def database(tmp_path: Path) -> SqliteAdvisories:
    found = SqliteAdvisories(tmp_path / "db" / "advisories.db", now=lambda: NOW)
    found.import_archive(pack(tmp_path / "PyPI.zip", json.loads(DATA.read_text())))
    return found


def package(name: str, version: str, ecosystem: str = "PyPI", **more: str) -> Component:
    return Component(name=name, version=version, ecosystem=ecosystem, purl="", **more)


def test_a_critical_weakness_is_found_once_under_its_cve(database: SqliteAdvisories) -> None:
    (found,) = database.match([package("joblib", "1.1.0")])
    assert found.id == "CVE-2022-21797"
    assert {"GHSA-6hrg-qmvc-2xh8", "PYSEC-2022-288"} <= set(found.aliases)
    assert (found.severity, found.score, found.fixed_in) == (Severity.CRITICAL, 9.8, ("1.2.0",))
    assert database.match([package("joblib", "1.2.0")]) == ()


def test_names_are_compared_as_the_ecosystem_does(database: SqliteAdvisories) -> None:
    names = {one.id for one in database.match([package("PyYAML", "5.3")])}
    assert "CVE-2020-14343" in names
    assert names == {one.id for one in database.match([package("pyyaml", "5.3.0")])}


def test_a_related_name_reaches_what_is_known_to_be_exploited(
    database: SqliteAdvisories, tmp_path: Path
) -> None:
    """Pillow's bundled libwebp names its CVE only as related."""
    catalogue = {
        "dateReleased": "2025-08-25T00:00:00Z",
        "vulnerabilities": [{"cveID": "CVE-2023-4863"}],
    }
    (tmp_path / "kev.json").write_text(json.dumps(catalogue))
    database.import_archive(tmp_path / "kev.json")
    worst = database.match([package("pillow", "9.0.0")])[0]
    assert worst.id == "CVE-2023-4863"
    assert worst.is_known_exploited


def test_what_a_distribution_owns_is_not_judged_by_pypi(database: SqliteAdvisories) -> None:
    assert database.match([package("joblib", "1.1.0", owner="python3-joblib")]) == ()


def test_withdrawn_advisories_do_not_count(tmp_path: Path) -> None:
    record = {
        "id": "X-1", "modified": "2025-01-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "a"},
                      "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}],
    }  # fmt: skip
    database = SqliteAdvisories(tmp_path / "a.db", now=lambda: NOW)
    database.import_archive(pack(tmp_path / "one.zip", [record]))
    (found,) = database.match([package("a", "1")])
    assert found.severity is Severity.UNRATED
    database.import_archive(
        pack(tmp_path / "two.zip", [record | {"withdrawn": "2025-02-01T00:00:00Z"}])
    )
    assert database.match([package("a", "1")]) == ()


def test_a_version_without_an_order_counts_as_affected(database: SqliteAdvisories) -> None:
    assert database.match([package("joblib", "not-a-version")])


def affected(*events: dict[str, str], versions: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"ranges": [{"events": list(events)}], "versions": list(versions)}


@pytest.mark.parametrize(
    ("version", "expected"),
    [("0.9", False), ("1.0", True), ("1.5rc1", True), ("1.5", False), ("2.0", True), ("2.1", True),
     ("2.2", False), ("1.0.post1", True), ("2.1+local", False)],
)  # fmt: skip
def test_ranges_follow_the_schema(version: str, expected: bool) -> None:
    spans = affected(
        {"introduced": "1.0"}, {"fixed": "1.5"}, {"introduced": "2.0"}, {"last_affected": "2.1"}
    )
    assert is_affected(version, "PyPI", spans) is expected


def test_listed_versions_match_however_they_are_written() -> None:
    assert is_affected("1.0.0", "PyPI", {"versions": ["1.0"], "ranges": []})
    assert not is_affected("1.0.1", "PyPI", {"versions": ["1.0"], "ranges": []})


@pytest.mark.parametrize(
    ("low", "high"),
    [("1.0~rc1-1", "1.0-1"), ("1.0-1", "1.0-1+deb12u1"), ("1.2", "1.10"), ("2.0", "1:1.0"),
     ("1.0-1", "1.0-1.1"), ("1.0a", "1.0b"), ("1.0", "1.0a"), ("1.0~~", "1.0~"), ("1.0~", "1.0"),
     ("3.0.11-1~deb12u1", "3.0.11-1~deb12u2"), ("1.0+dfsg-1", "1.0.1-1"), ("09", "10")],
)  # fmt: skip
def test_debian_versions_sort_as_dpkg_sorts_them(low: str, high: str) -> None:
    assert compare_debian(low, high) < 0 < compare_debian(high, low)
    assert compare_debian(low, low) == 0


def test_debian_leading_zeros_do_not_count() -> None:
    assert compare_debian("1.01-1", "1.1-1") == 0


@given(
    st.lists(
        st.from_regex(r"([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z+~.]{1,4})?", fullmatch=True),
        min_size=3,
        max_size=3,
    )
)
def test_debian_order_is_an_order(versions: list[str]) -> None:
    a, b, c = versions
    assert compare_debian(a, b) == -compare_debian(b, a)
    if compare_debian(a, b) <= 0 and compare_debian(b, c) <= 0:
        assert compare_debian(a, c) <= 0


@pytest.mark.parametrize(
    ("vector", "score"),
    [("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8), ("AV:N/AC:H/PR:N/UI:R/S:C/C:H/I:N/A:N", 6.1),
     ("AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8), ("AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
     ("AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", 0.0)],
)  # fmt: skip
def test_scores_are_those_of_the_standard(vector: str, score: float) -> None:
    assert base_score(dict(part.split(":") for part in vector.split("/"))) == score


def test_no_database_is_said_and_never_clean(tmp_path: Path) -> None:
    empty = SqliteAdvisories(tmp_path / "none.db", now=lambda: NOW)
    assert empty.status().digest == ""
    with pytest.raises(Unavailable):
        empty.match([package("joblib", "1.1.0")])


def test_a_broken_archive_changes_nothing(database: SqliteAdvisories, tmp_path: Path) -> None:
    before = database.status()
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("a.json", "{")
    with pytest.raises(InvalidInput):
        database.import_archive(tmp_path / "bad.zip")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InvalidInput):
        database.import_archive(tmp_path / "text")
    assert database.status() == before


def test_importing_again_replaces(database: SqliteAdvisories, tmp_path: Path) -> None:
    before = database.status()
    records = json.loads(DATA.read_text())
    database.import_archive(pack(tmp_path / "new.zip", records[:3]))
    assert database.status().advisories < before.advisories
    assert database.status().digest != before.digest
