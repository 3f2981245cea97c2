"""Package databases of an image: dpkg, apk, Python distributions, bundled libraries."""

import base64
import binascii
import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import HeaderParser
from pathlib import PurePosixPath

from prometheus_ai.adapters.scanners.images.rpm import DATABASE, ecosystem_of, read_rpm
from prometheus_ai.domain.gate import Component

_SOURCE = re.compile(r"^(\S+)(?:\s+\((.+)\))?$")
_BUNDLED = re.compile(r"\.libs/lib([A-Za-z0-9+_.-]+?)-[0-9a-f]{6,}((?:\.\d+)*)\.so((?:\.\d+)*)$")
_WORTH = re.compile(
    r"(^|/)(dpkg/status|dpkg/status\.d/[^/]+|dpkg/info/[^/]+\.(list|md5sums)|apk/db/installed"
    r"|etc/os-release|usr/lib/os-release"
    r"|lib/(sysimage/)?rpm/(rpmdb\.sqlite|Packages|Packages\.db)"
    r"|[^/]+\.dist-info/(METADATA|RECORD)|[^/]+\.egg-info/PKG-INFO|[^/]+\.egg-info)$"
)


def is_database(path: str) -> bool:
    """Whether a file describes packages."""
    return _WORTH.search(path) is not None


@dataclass(frozen=True, kw_only=True)
class Databases:
    """The files that describe packages, by path, with the layer of each."""

    files: Mapping[str, bytes]
    layers: Mapping[str, str]

    def named(self, pattern: str) -> Iterator[tuple[str, str]]:
        """Yield path and text of files whose path matches."""
        found = re.compile(pattern)
        for path, data in self.files.items():
            if found.search(path):
                yield path, data.decode("utf-8", "replace")


def components_of(databases: Databases) -> Iterator[Component]:
    """Yield every package that the databases name."""
    release = _release(databases)
    owners = owners_of(databases)
    yield from _dpkg(databases, release)
    yield from _apk(databases, release)
    yield from _python(databases, owners)


def rpm_of(databases: Databases) -> tuple[list[Component], tuple[str, ...]]:
    """Return what RPM's databases name, and what of them could not be read."""
    found: list[Component] = []
    unread: tuple[str, ...] = ()
    for path, data in databases.files.items():
        if re.search(DATABASE, path):
            packages, problems = read_rpm(path, data, _release(databases))
            layer = databases.layers.get(path, "")
            found += [replace(one, layer=layer) for one in packages]
            unread += problems
    return found, unread


def owners_of(databases: Databases) -> dict[str, str]:
    """Return which distribution package owns which metadata of Python."""
    owners = {}
    for path, text in databases.named(r"dpkg/info/[^/]+\.list$"):
        package = PurePosixPath(path).name.removesuffix(".list").partition(":")[0]
        for line in text.splitlines():
            if ".dist-info" in line or ".egg-info" in line:
                owners[line.lstrip("/")] = package
    return owners


def recorded(databases: Databases) -> dict[str, str]:
    """Return path to ``sha256:<hex>`` or ``md5:<hex>`` of files that packages brought."""
    found = {}
    for path, text in databases.named(r"\.dist-info/RECORD$"):
        root = PurePosixPath(path).parent.parent
        for row in csv.reader(text.splitlines()):
            if len(row) >= 2 and row[1].startswith("sha256="):
                try:
                    digest = base64.urlsafe_b64decode(row[1][7:] + "==").hex()
                except (ValueError, binascii.Error):
                    continue
                found[_joined(root, row[0])] = f"sha256:{digest}"
    for _, text in databases.named(r"dpkg/info/[^/]+\.md5sums$"):
        for line in text.splitlines():
            digest, _, name = line.partition("  ")
            found[name.strip()] = f"md5:{digest}"
    return found


def bundled_library(path: str) -> Component | None:
    """Return the library that a wheel brought along, by its file's name."""
    match = _BUNDLED.search(path)
    if match is None:
        return None
    version = (match[2] or match[3]).lstrip(".")
    return Component(
        name=match[1], version=version, ecosystem="generic",
        purl=f"pkg:generic/{match[1]}@{version}" if version else f"pkg:generic/{match[1]}",
        location=path,
    )  # fmt: skip


def _joined(root: PurePosixPath, name: str) -> str:
    parts: list[str] = []
    for part in (root / name).parts:
        if part == "..":
            parts = parts[:-1]
        elif part not in (".", "/"):
            parts.append(part)
    return "/".join(parts)


def _release(databases: Databases) -> tuple[str, str]:
    """Return OSV's name of the distribution and its id."""
    for _, text in databases.named(r"os-release$"):
        found = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
        name, version = found.get("ID", "").strip('"'), found.get("VERSION_ID", "").strip('"')
        if name == "debian":
            return f"Debian:{version.partition('.')[0]}", name
        if name == "ubuntu":
            return f"Ubuntu:{version}", name
        if name == "alpine":
            return f"Alpine:v{'.'.join(version.split('.')[:2])}", name
        if name:
            return ecosystem_of(name, version), name
    return "Debian", "debian"


def _dpkg(databases: Databases, release: tuple[str, str]) -> Iterator[Component]:
    ecosystem, distribution = release
    for path, text in databases.named(r"dpkg/(status|status\.d/(?!.*\.md5sums)[^/]+)$"):
        for stanza in text.split("\n\n"):
            fields = dict(HeaderParser().parsestr(stanza.strip() + "\n\n"))
            name, version = fields.get("Package"), fields.get("Version")
            is_here = "installed" in str(fields.get("Status", "installed")).split()
            if not name or not version or not is_here:
                continue
            source = _SOURCE.match(str(fields.get("Source", name)).strip())
            architecture = fields.get("Architecture", "")
            yield Component(
                name=name, version=version, ecosystem=ecosystem,
                purl=f"pkg:deb/{distribution}/{name}@{version.replace(':', '%3A')}?arch={architecture}",
                source=source[1] if source else name,
                source_version=(source[2] if source and source[2] else version),
                location=path, layer=databases.layers.get(path, ""),
            )  # fmt: skip


def _apk(databases: Databases, release: tuple[str, str]) -> Iterator[Component]:
    for path, text in databases.named(r"apk/db/installed$"):
        for stanza in text.split("\n\n"):
            fields = dict(
                line.partition(":")[::2] for line in stanza.splitlines() if line[1:2] == ":"
            )
            name, version = fields.get("P"), fields.get("V")
            if name and version:
                yield Component(
                    name=name, version=version, ecosystem=release[0],
                    purl=f"pkg:apk/alpine/{name}@{version}?arch={fields.get('A', '')}",
                    source=fields.get("o", name), source_version=version, location=path,
                    layer=databases.layers.get(path, ""),
                    licences=(fields["L"],) if fields.get("L") else (),
                )  # fmt: skip


def _python(databases: Databases, owners: Mapping[str, str]) -> Iterator[Component]:
    pattern = r"(\.dist-info/METADATA|\.egg-info/PKG-INFO|\.egg-info)$"
    for path, text in databases.named(pattern):
        headers = HeaderParser().parsestr(text)
        name, version = headers.get("Name"), headers.get("Version")
        if not name or not version:
            continue
        folder = path if path.endswith(".egg-info") else str(PurePosixPath(path).parent)
        key = re.sub(r"[-_.]+", "-", name).lower()
        yield Component(
            name=name, version=version, ecosystem="PyPI", purl=f"pkg:pypi/{key}@{version}",
            location=folder, layer=databases.layers.get(path, ""),
            owner=owners.get(path) or owners.get(folder, ""), licences=_licences(headers),
        )  # fmt: skip


def _licences(headers: Message) -> tuple[str, ...]:
    stated = str(headers.get("License-Expression") or headers.get("License") or "")
    if stated and "\n" not in stated and len(stated) <= 100 and stated != "UNKNOWN":
        return (stated,)
    return tuple(
        one.rpartition("::")[2].strip()
        for one in headers.get_all("Classifier", [])
        if one.startswith("License ::")
    )
