"""Which package brought which file; pure."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_RECORD = re.compile(r"([^/]+)-([^/-]+)\.dist-info/RECORD$")
_LIST = re.compile(r"dpkg/info/([^/]+)\.list$")
_STANZA = re.compile(r"^Package: (\S+)$.*?^Version: (\S+)$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A package that is installed."""

    name: str
    version: str
    kind: str
    """``python``, ``dpkg`` or ``apk``."""


def owners_of(databases: Mapping[str, str]) -> dict[str, Package]:
    """Return the owner of every path that a package database names."""
    owners: dict[str, Package] = {}
    versions: dict[str, str] = {}
    for path, text in databases.items():
        if path.endswith("dpkg/status") or "/dpkg/status.d/" in path:
            for stanza in text.split("\n\n"):
                versions |= dict(_STANZA.findall(stanza))
    # Folders belong to everyone, and some are links, such as ``/lib``.
    folders: set[str] = set()
    for path, text in databases.items():
        if match := _LIST.search(path):
            name = match[1].partition(":")[0]
            package = Package(name=name, version=versions.get(name, ""), kind="dpkg")
            lines = [line.lstrip("/") for line in text.splitlines()]
            owners |= dict.fromkeys(lines, package)
            folders |= {line.rpartition("/")[0] for line in lines}
        elif path.endswith("apk/db/installed"):
            owners |= dict(_apk(text))
    for folder in folders:
        owners.pop(folder, None)
    # Last: of a Python package that a distribution ships, the distribution's list stays the owner.
    for path, text in databases.items():
        if match := _RECORD.search(path):
            package = Package(name=_normal(match[1]), version=match[2], kind="python")
            root = str(PurePosixPath(path).parent.parent)
            for row in csv.reader(text.splitlines()):
                if row:
                    owners.setdefault(_joined(root, row[0]), package)
    return owners


def owner_of(path: str, owners: Mapping[str, Package]) -> Package | None:
    """Return a file's owner; bytecode belongs to its source's, and merged ``/usr`` counts as what it replaces."""
    found = owners.get(path) or owners.get(path.removeprefix("usr/"))
    if found is None and path.endswith(".pyc"):
        folder, _, name = path.rpartition("/__pycache__/")
        found = owners.get(f"{folder}/{name.partition('.')[0]}.py")
    return found


def _apk(text: str) -> Iterator[tuple[str, Package]]:
    package, folder = Package(name="", version="", kind="apk"), ""
    for line in text.splitlines():
        field, _, value = line.partition(":")
        if field == "P":
            package = Package(name=value, version="", kind="apk")
        elif field == "V":
            package = Package(name=package.name, version=value, kind="apk")
        elif field == "F":
            folder = value
        elif field == "R":
            yield f"{folder}/{value}" if folder else value, package


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _joined(root: str, name: str) -> str:
    if ".." not in name:
        return f"{root}/{name}".lstrip("/")
    parts: list[str] = []
    for part in f"{root}/{name}".split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in (".", ""):
            parts.append(part)
    return "/".join(parts)
