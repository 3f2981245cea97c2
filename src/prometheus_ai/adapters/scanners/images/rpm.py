"""RPM's package databases: SQLite is read; the older forms are named as unread, for silence would pass as none."""

import contextlib
import sqlite3
import struct
from collections.abc import Iterator, Mapping

from prometheus_ai.domain.gate import Component

DATABASE = r"(lib/rpm|lib/sysimage/rpm)/(rpmdb\.sqlite|Packages|Packages\.db)$"
HEADER_BYTES_MAX = 32 * 2**20
_NAME, _VERSION, _RELEASE, _EPOCH, _LICENCE, _ARCHITECTURE, _SOURCE = (
    1000, 1001, 1002, 1003, 1014, 1022, 1044,
)  # fmt: skip
_INT32, _STRING, _TEXT = 4, 6, 9
_OLDER = {"Packages": "a Berkeley DB", "Packages.db": "an NDB"}
_OSV = {"rocky": "Rocky Linux", "almalinux": "AlmaLinux"}
# Keys of others that distributions import are listed as packages of this name.
_KEYS = "gpg-pubkey"


class BadHeader(ValueError):
    """A package's header is not what RPM writes."""


def ecosystem_of(name: str, version: str) -> str:
    """Return OSV's name of a distribution by its os-release."""
    if name in _OSV:
        return f"{_OSV[name]}:{version.partition('.')[0]}"
    return f"{name}:{version}"


def read_rpm(
    path: str, data: bytes, release: tuple[str, str]
) -> tuple[list[Component], tuple[str, ...]]:
    """Return the packages of one database, and what of it could not be read."""
    file = path.rpartition("/")[2]
    if file in _OLDER and data:
        return [], (f"{path}: {_OLDER[file]} of RPM's, which cannot be read here",)
    if not data:
        return [], ()
    found: list[Component] = []
    unread: list[str] = []
    try:
        with contextlib.closing(sqlite3.connect(":memory:")) as db:
            # Marked as closed: a file in WAL mode cannot be opened from memory.
            db.deserialize(data[:18] + b"\x01\x01" + data[20:])
            for number, blob in db.execute("SELECT hnum, blob FROM Packages ORDER BY hnum"):
                try:
                    found += _components(_header(bytes(blob)), path, release)
                except (BadHeader, struct.error, UnicodeDecodeError) as error:
                    unread.append(f"{path}: package {number} cannot be read: {error}")
    except sqlite3.Error as error:
        unread.append(f"{path}: {error}")
    return found, tuple(unread)


def _header(blob: bytes) -> Mapping[int, str | int]:
    """Return the wanted fields of a header: an index of (tag, type, offset, count), then a store."""
    if len(blob) > HEADER_BYTES_MAX:
        raise BadHeader("absurdly long")
    entries, size = struct.unpack_from(">II", blob)
    start = 8 + 16 * entries
    if entries > 65_536 or start + size > len(blob):
        raise BadHeader("it promises more than it holds")
    store = blob[start : start + size]
    found: dict[int, str | int] = {}
    for tag, kind, offset, _count in _index(blob, entries):
        if kind == _INT32:
            found[tag] = struct.unpack_from(">i", store, offset)[0]
        elif kind in (_STRING, _TEXT):
            end = store.index(b"\0", offset) if 0 <= offset < size else -1
            if end < 0:
                raise BadHeader("a text lies outside")
            found[tag] = store[offset:end].decode("utf-8", "replace")
    return found


def _index(blob: bytes, entries: int) -> Iterator[tuple[int, int, int, int]]:
    wanted = {_NAME, _VERSION, _RELEASE, _EPOCH, _LICENCE, _ARCHITECTURE, _SOURCE}
    for number in range(entries):
        entry = struct.unpack_from(">IIiI", blob, 8 + 16 * number)
        if entry[0] in wanted:
            yield entry


def _components(
    fields: Mapping[int, str | int], path: str, release: tuple[str, str]
) -> Iterator[Component]:
    name = str(fields.get(_NAME, ""))
    if not name or _VERSION not in fields or _RELEASE not in fields:
        raise BadHeader("it has no name or version")
    if name == _KEYS:
        return
    version = f"{fields[_VERSION]}-{fields[_RELEASE]}"
    if epoch := fields.get(_EPOCH):
        version = f"{epoch}:{version}"
    source = str(fields.get(_SOURCE, "")).removesuffix(".src.rpm").rsplit("-", 2)[0]
    licence = str(fields.get(_LICENCE, ""))
    yield Component(
        name=name, version=version, ecosystem=release[0],
        purl=f"pkg:rpm/{release[1]}/{name}@{version.replace(':', '%3A')}?arch={fields.get(_ARCHITECTURE, '')}",
        source=source or name, source_version=version, location=path,
        licences=(licence,) if licence else (),
    )  # fmt: skip
