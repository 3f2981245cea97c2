"""Advisories in an indexed SQLite file."""

import contextlib
import gzip
import hashlib
import json
import sqlite3
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from prometheus_ai.adapters.scanners.advisories.matching import decoded, package_key, unite
from prometheus_ai.adapters.scanners.advisories.severity import severity_of
from prometheus_ai.adapters.sqlite_patience import WRITE_AHEAD, set_patiently
from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.domain.gate import AdvisoryData, Component, Severity, Vulnerability

ARCHIVE_BYTES_MAX = 4 * 2**30
RECORD_BYTES_MAX = 32 * 2**20
RECORDS_MAX = 2_000_000
DOWNLOAD_S = 600.0
BUSY_S = 30.0
_NAMES_AT_ONCE = 400
_SCHEMA = """
CREATE TABLE IF NOT EXISTS advisories (
  id TEXT NOT NULL, archive TEXT NOT NULL, names TEXT NOT NULL, related TEXT NOT NULL,
  severity TEXT NOT NULL, score REAL, summary TEXT NOT NULL, modified TEXT NOT NULL,
  PRIMARY KEY (id, archive)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS affected (
  ecosystem TEXT NOT NULL, package TEXT NOT NULL, advisory TEXT NOT NULL, archive TEXT NOT NULL,
  ranges TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS affected_by_package ON affected (ecosystem, package);
CREATE TABLE IF NOT EXISTS exploited (cve TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS archives (
  name TEXT PRIMARY KEY, digest TEXT NOT NULL, imported TEXT NOT NULL, newest TEXT NOT NULL) WITHOUT ROWID;
"""
_QUERY = """
SELECT f.package, a.id, a.names, a.related, a.severity, a.score, a.summary, f.ranges
FROM affected f JOIN advisories a ON a.id = f.advisory AND a.archive = f.archive
WHERE f.ecosystem = ? AND f.package IN ({})
"""
_KEV = "known-exploited"
_ORDER = list(Severity)


class SqliteAdvisories:
    """Advisories in one file; safe to use from several threads and processes."""

    def __init__(self, path: Path, *, now: Callable[[], datetime]) -> None:
        self._path = path
        self._now = now

    def status(self) -> AdvisoryData:
        """Say what is in it."""
        if not self._path.exists():
            return AdvisoryData()
        with self._open() as db:
            archives = db.execute(
                "SELECT name, digest, imported, newest FROM archives ORDER BY name"
            ).fetchall()
            count = db.execute("SELECT count(*) FROM advisories").fetchone()[0]
            roots = db.execute("SELECT DISTINCT ecosystem FROM affected").fetchall()
            exploited = db.execute("SELECT count(*) FROM exploited").fetchone()[0]
        told = [one for one in archives if one[0] != _KEV]
        if not told:
            return AdvisoryData(known_exploited=exploited)
        text = "\n".join(f"{name} {digest}" for name, digest, *_ in archives)
        return AdvisoryData(
            digest="sha256:" + hashlib.sha256(text.encode()).hexdigest(),
            ecosystems=tuple(sorted({root for (root,) in roots})),
            advisories=count,
            # The oldest archive's newest: data is as fresh as its stalest part.
            newest_at=min(datetime.fromisoformat(one[3]) for one in told),
            imported_at=min(datetime.fromisoformat(one[2]) for one in told),
            known_exploited=exploited,
        )

    def match(self, components: Iterable[Component]) -> tuple[Vulnerability, ...]:
        """Return the known weaknesses of components, worst first; what a distribution owns, it judges."""
        wanted: dict[str, dict[str, list[Component]]] = defaultdict(lambda: defaultdict(list))
        for one in components:
            if not one.owner:
                key = package_key(one.ecosystem, one.source or one.name)
                wanted[one.ecosystem][key].append(one)
        found: list[Vulnerability] = []
        if not self._path.exists():
            raise Unavailable("there is no advisory database", hint="`pai advisories import FILE`")
        with self._open() as db:
            exploited = frozenset(cve for (cve,) in db.execute("SELECT cve FROM exploited"))
            for ecosystem, packages in wanted.items():
                rows = _rows(db, ecosystem, packages)
                for key, those in packages.items():
                    for component in those:
                        found += _found(component, rows.get(key, []), exploited)
        return tuple(
            sorted(
                found,
                key=lambda one: (not one.is_known_exploited, -_ORDER.index(one.severity), one.id),
            )
        )

    def import_archive(self, path: Path) -> AdvisoryData:
        """Take in an archive; what it replaces goes in the same change."""
        try:
            if path.stat().st_size > ARCHIVE_BYTES_MAX:
                raise InvalidInput(f"{path} is larger than {ARCHIVE_BYTES_MAX} bytes")
            with path.open("rb") as file:
                digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
            if zipfile.is_zipfile(path):
                self._take_osv(path, digest)
            else:
                self._take_exploited(path, digest)
        except (OSError, zipfile.BadZipFile, EOFError) as error:
            raise InvalidInput(f"{path} cannot be read: {error}") from error
        return self.status()

    def update(self, url: str) -> AdvisoryData:
        """Download an archive and take it in."""
        if not url.startswith(("https://", "http://")):
            raise InvalidInput(f"{url!r} is no http(s) URL")
        with tempfile.TemporaryDirectory(prefix="pai-advisories-") as folder:
            path = Path(folder) / "archive"
            try:
                with (
                    httpx.stream("GET", url, timeout=DOWNLOAD_S, follow_redirects=True) as answer,
                    path.open("wb") as file,
                ):
                    answer.raise_for_status()
                    size = 0
                    for chunk in answer.iter_bytes():
                        size += len(chunk)
                        if size > ARCHIVE_BYTES_MAX:
                            raise InvalidInput(f"{url} is larger than {ARCHIVE_BYTES_MAX} bytes")
                        file.write(chunk)
            except httpx.HTTPError as error:
                raise Unavailable(f"{url} cannot be downloaded: {error}") from error
            return self.import_archive(path)

    def _take_osv(self, path: Path, digest: str) -> None:
        with zipfile.ZipFile(path) as archive, self._open() as db:
            infos = [one for one in archive.infolist() if one.filename.endswith(".json")]
            if not infos or len(infos) > RECORDS_MAX:
                raise InvalidInput(f"{path} holds {len(infos)} advisories")
            records = list(_records(archive, infos))
            name = _archive_name(records)
            newest = max((one["modified"] for one in records), default="")
            for table in ("advisories", "affected", "archives"):
                column = "name" if table == "archives" else "archive"
                db.execute(f"DELETE FROM {table} WHERE {column} = ?", (name,))  # noqa: S608
            kept = [one for one in records if not one.get("withdrawn")]
            db.executemany(
                "INSERT OR REPLACE INTO advisories VALUES (?,?,?,?,?,?,?,?)",
                (_advisory(one, name) for one in kept),
            )
            db.executemany(
                "INSERT INTO affected VALUES (?,?,?,?,?)",
                (row for one in kept for row in _affected(one, name)),
            )
            self._remember(db, name, digest, _instant(newest))

    def _take_exploited(self, path: Path, digest: str) -> None:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        try:
            catalogue = json.loads(data)
            names = {str(one["cveID"]) for one in catalogue["vulnerabilities"]}
            released = _instant(str(catalogue["dateReleased"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(
                f"{path} is neither an OSV archive nor a catalogue of exploited weaknesses",
                hint="OSV archives are ZIP files of JSON; the catalogue is CISA's KEV as JSON",
            ) from error
        with self._open() as db:
            db.execute("DELETE FROM exploited")
            db.executemany("INSERT INTO exploited VALUES (?)", ((name,) for name in sorted(names)))
            self._remember(db, _KEV, digest, released)

    def _remember(self, db: sqlite3.Connection, name: str, digest: str, newest: str) -> None:
        db.execute(
            "INSERT OR REPLACE INTO archives VALUES (?,?,?,?)",
            (name, digest, self._now().isoformat(), newest),
        )

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.closing(sqlite3.connect(self._path, timeout=BUSY_S)) as db:
                set_patiently(db, WRITE_AHEAD)
                db.executescript(_SCHEMA)
                with db:
                    yield db
        except sqlite3.Error as error:
            raise Unavailable(
                f"the advisory database {self._path} cannot be used: {error}",
                hint="remove it and import the archives again",
            ) from error


def _rows(
    db: sqlite3.Connection, ecosystem: str, packages: Iterable[str]
) -> dict[str, list[tuple[Any, ...]]]:
    names = list(packages)
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for start in range(0, len(names), _NAMES_AT_ONCE):
        part = names[start : start + _NAMES_AT_ONCE]
        query = _QUERY.format(",".join("?" * len(part)))
        for package, *row in db.execute(query, (ecosystem, *part)):
            found[package].append(tuple(row))
    return found


def _found(
    component: Component, rows: list[tuple[Any, ...]], exploited: frozenset[str]
) -> list[Vulnerability]:
    version = component.source_version or component.version
    hits = [hit for row in rows if (hit := decoded(row, version, component.ecosystem)) is not None]
    return unite(component, hits, exploited)


def _records(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> Iterator[dict[str, Any]]:
    for info in infos:
        if info.file_size > RECORD_BYTES_MAX:
            raise InvalidInput(f"{info.filename} is larger than {RECORD_BYTES_MAX} bytes")
        try:
            record = json.loads(archive.read(info))
            _ = record["id"], record["modified"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidInput(f"{info.filename} is no OSV record: {error}") from error
        yield record


def _archive_name(records: list[dict[str, Any]]) -> str:
    """Return the ecosystem that most records speak of: archives come one for each."""
    counts: dict[str, int] = defaultdict(int)
    for record in records:
        for affected in record.get("affected") or ():
            counts[str((affected.get("package") or {}).get("ecosystem", "")).partition(":")[0]] += 1
    return max(counts, key=lambda name: counts[name], default="")


def _advisory(record: dict[str, Any], archive: str) -> tuple[Any, ...]:
    severity, score = severity_of(record)
    names = [record["id"], *(record.get("aliases") or ())]
    summary = str(record.get("summary") or str(record.get("details", "")).partition("\n")[0])[:300]
    return (
        record["id"], archive, json.dumps(names), json.dumps(record.get("related") or []),
        severity.value, score, summary, record["modified"],
    )  # fmt: skip


def _affected(record: dict[str, Any], archive: str) -> Iterator[tuple[str, str, str, str, str]]:
    for one in record.get("affected") or ():
        package = one.get("package") or {}
        ecosystem, name = str(package.get("ecosystem", "")), str(package.get("name", ""))
        ranges = [
            {"events": span["events"]}
            for span in one.get("ranges") or ()
            if span.get("type") != "GIT"
        ]
        content = {"versions": one.get("versions") or [], "ranges": ranges}
        yield ecosystem, package_key(ecosystem, name), record["id"], archive, json.dumps(content)


def _instant(text: str) -> str:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
