"""RPM's databases: read where they are SQLite, named where they are not; and the order of versions."""

import io
import sqlite3
import struct
import tarfile
from pathlib import Path

import pytest

from prometheus_ai.adapters.scanners.advisories.versions import compare_rpm
from prometheus_ai.adapters.scanners.images import LayeredImageScanner
from prometheus_ai.adapters.scanners.model_files import ModelFileScanner
from prometheus_ai.domain.gate import ImageScan

OS = b'ID="rocky"\nVERSION_ID="9.3"\n'


def header(**fields: str | int) -> bytes:
    """Write a header as RPM does."""
    tags = {"name": 1000, "version": 1001, "release": 1002, "epoch": 1003, "licence": 1014,
            "arch": 1022, "source": 1044, "size": 1009}  # fmt: skip
    index, store = b"", b""
    for name, value in fields.items():
        if isinstance(value, int):
            store += b"\0" * (-len(store) % 4)
            entry, kind = struct.pack(">i", value), 4
        else:
            entry, kind = value.encode() + b"\0", 6
        index += struct.pack(">IIiI", tags[name], kind, len(store), 1)
        store += entry
    return struct.pack(">II", len(fields), len(store)) + index + store


def database(folder: Path, blobs: list[bytes], *, wal: bool = False) -> bytes:
    path = folder / "rpmdb.sqlite"
    db = sqlite3.connect(path)
    if wal:
        db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    db.executemany("INSERT INTO Packages (blob) VALUES (?)", [(one,) for one in blobs])
    db.commit()
    db.close()
    return path.read_bytes()


def scan(folder: Path, files: dict[str, bytes]) -> ImageScan:
    path = folder / "root.tar"
    with tarfile.open(path, "w") as packed:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    return LayeredImageScanner(ModelFileScanner().scan).scan(path)


@pytest.mark.parametrize("wal", [False, True])
def test_packages_are_read_from_sqlite(tmp_path: Path, wal: bool) -> None:
    openssl = header(
        name="openssl-libs", epoch=1, version="3.0.7", release="25.el9_3", arch="x86_64",
        licence="ASL 2.0", source="openssl-3.0.7-25.el9_3.src.rpm",
    )  # fmt: skip
    key = header(name="gpg-pubkey", version="350d275d", release="6279464b")
    data = database(tmp_path, [openssl, key], wal=wal)
    found = scan(tmp_path, {"etc/os-release": OS, "var/lib/rpm/rpmdb.sqlite": data}).sbom
    (one,) = found.components
    assert (one.name, one.version, one.source) == ("openssl-libs", "1:3.0.7-25.el9_3", "openssl")
    assert (one.ecosystem, one.licences) == ("Rocky Linux:9", ("ASL 2.0",))
    assert one.purl == "pkg:rpm/rocky/openssl-libs@1%3A3.0.7-25.el9_3?arch=x86_64"
    assert found.unread == ()


@pytest.mark.parametrize(
    "path", ["var/lib/rpm/Packages", "usr/lib/sysimage/rpm/Packages.db", "var/lib/rpm/rpmdb.sqlite"]
)
def test_what_cannot_be_read_is_named(tmp_path: Path, path: str) -> None:
    found = scan(tmp_path, {"etc/os-release": OS, path: b"something else" * 100}).sbom
    assert found.components == ()
    assert len(found.unread) == 1
    assert path in found.unread[0]


@pytest.mark.parametrize(
    "damage", [b"", b"\0\0\0\1", header(name="a")[:-1], header(version="1"), b"\xff" * 64]
)
def test_a_damaged_header_is_named_and_the_others_are_read(tmp_path: Path, damage: bytes) -> None:
    good = header(name="bash", version="5.1.8", release="6.el9")
    data = database(tmp_path, [damage, good])
    found = scan(tmp_path, {"etc/os-release": OS, "var/lib/rpm/rpmdb.sqlite": data}).sbom
    assert [one.name for one in found.components] == ["bash"]
    assert len(found.unread) == 1


# From rpm's own tests of rpmvercmp.
@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("1.0", "1.0", 0), ("1.0", "2.0", -1), ("2.0.1", "2.0.1a", -1), ("5.5p1", "5.5p2", -1),
        ("5.5p10", "5.5p1", 1), ("10xyz", "10.1xyz", -1), ("xyz10", "xyz10.1", -1),
        ("xyz.4", "8", -1), ("5.5p2", "5.6p1", -1), ("6.0.rc1", "6.0", 1), ("10b2", "10a1", 1),
        ("1.0~rc1", "1.0", -1), ("1.0~rc1", "1.0~rc2", -1), ("1.0^", "1.0", 1),
        ("1.0^git1", "1.0^git2", -1), ("1.0^git1", "1.01", -1), ("1.0^20160101", "1.0.1", -1),
        ("1.0~rc1^git1", "1.0~rc1", 1), ("fc4", "fc.4", 0), ("2_0", "2.0", 0), ("007", "7", 0),
        ("1:1.0-1", "2.0-1", 1), ("1.0-2", "1.0-10", -1),
    ],
)  # fmt: skip
def test_versions_sort_as_rpm_sorts_them(one: str, other: str, expected: int) -> None:
    assert compare_rpm(one, other) == expected
    assert compare_rpm(other, one) == -expected
