"""Locks: reading the kinds that users have, writing ours; pure."""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_ai.domain.errors import InvalidInput

HEADER = "# Exact versions and hashes of one environment; made by PROMETHEUS, read by uv and pip."
_HASH = re.compile(r"--hash[=\s](sha(?:256|384|512):[0-9a-f]+)")
_PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?P<extras>\[[^\]]*\])?\s*"
    r"(?P<pin>===?\s*[^\s;@]+|@\s*\S+)\s*(?:;\s*(?P<marker>.*))?$"
)
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One package at one version, with the hashes of its files."""

    name: str
    pin: str
    """``==1.2.3`` or ``@ https://…``."""
    marker: str = ""
    hashes: tuple[str, ...] = field(default=())

    def requirement(self) -> str:
        """Return the line without hashes."""
        space = " " if self.pin.startswith("@") else ""
        return f"{self.name}{space}{self.pin}" + (f" ; {self.marker}" if self.marker else "")


def normal(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_requirements_lock(text: str, source: str) -> list[Pin]:
    """Read requirements with hashes.

    Raises:
        InvalidInput: a line is no exact version, has no hash, or is an option; names the line.
    """
    pins = []
    for number, line in _logical_lines(text):
        if line.startswith("-"):
            raise InvalidInput(
                f"{source}:{number}: the option {line.split()[0]} is not supported in a lock",
                hint="set an index in pai.toml (index_url) or in uv's configuration",
            )
        hashes = tuple(sorted(set(_HASH.findall(line))))
        match = _PIN.match(line.partition(" --hash")[0].strip())
        if match is None:
            raise InvalidInput(
                f"{source}:{number}: {line[:120]!r} is not an exact version",
                hint="a lock has lines such as numpy==2.2.6 --hash=sha256:…",
            )
        if not hashes:
            raise InvalidInput(
                f"{source}:{number}: {match['name']} has no hash",
                hint="make the lock with uv pip compile --generate-hashes, uv lock, or pip-compile --generate-hashes",
            )
        pin = re.sub(r"\s+", "", match["pin"])
        pin = f"@ {pin[1:]}" if pin.startswith("@") else pin
        marker = (match["marker"] or "").strip()
        pins.append(Pin(name=normal(match["name"]), pin=pin, marker=marker, hashes=hashes))
    if not pins:
        raise InvalidInput(f"{source} locks no package")
    return pins


def parse_pylock(text: str, source: str) -> list[Pin]:
    """Read a ``pylock.toml`` (PEP 751).

    Raises:
        InvalidInput: it is no such file, or a package comes from a folder or a version control system.
    """
    content = _toml(text, source)
    if not str(content.get("lock-version", "")).startswith("1."):
        raise InvalidInput(f"{source}: lock-version {content.get('lock-version')!r} is not 1.x")
    pins = []
    for package in content.get("packages", []):
        name = str(package.get("name", "?"))
        if any(kind in package for kind in ("vcs", "directory")) or "version" not in package:
            raise InvalidInput(
                f"{source}: {name} comes from a folder or repository, which has no hash",
                hint="build a wheel of it, and put it on an index",
            )
        files = [*package.get("wheels", []), package.get("sdist"), package.get("archive")]
        hashes = {
            f"sha256:{file['hashes']['sha256']}"
            for file in files
            if file and "sha256" in file.get("hashes", {})
        }
        if not hashes:
            raise InvalidInput(f"{source}: {name} has no sha256 hash")
        pins.append(
            Pin(
                name=normal(name),
                pin=f"=={package['version']}",
                marker=str(package.get("marker", "")),
                hashes=tuple(sorted(hashes)),
            )
        )
    if not pins:
        raise InvalidInput(f"{source} locks no package")
    return pins


def project_of_uv_lock(text: str, source: str) -> str:
    """Return a ``pyproject.toml`` that fits a ``uv.lock``, which often travels without its own.

    Raises:
        InvalidInput: it is no lock of uv, or of a workspace with several projects.
    """
    content = _toml(text, source)
    packages = content.get("package", [])
    roots = [
        package
        for package in packages
        if {"virtual", "editable"} & package.get("source", {}).keys()
    ]
    if len(roots) != 1:
        names = ", ".join(str(root.get("name")) for root in roots) or "none"
        raise InvalidInput(
            f"{source}: one project is expected, and it has {len(roots)} ({names})",
            hint="export the one you mean: uv export --package NAME --format requirements.txt",
        )
    name, version = roots[0]["name"], roots[0].get("version", "0")
    wants = content.get("requires-python", ">=3.11")
    return f'[project]\nname = "{name}"\nversion = "{version}"\nrequires-python = "{wants}"\n'


def render(pins: Iterable[Pin], *, python: str, engine: str) -> bytes:
    """Write our lock: sorted, with hashes, equal for equal content."""
    lines = [HEADER, f"# python {python}, engine {engine}"]
    lines += [
        pin.requirement() + "".join(f" \\\n    --hash={one}" for one in pin.hashes)
        for pin in sorted(pins, key=lambda pin: (pin.name, pin.pin, pin.marker))
    ]
    return ("\n".join(lines) + "\n").encode()


def needs_of_extra(metadata: str, extra: str) -> tuple[str, ...]:
    """Return the names of the packages that one extra asks for."""
    names = []
    for line in metadata.splitlines():
        if not line:
            break
        key, _, value = line.partition(": ")
        asked = _EXTRA.search(value)
        name = _NAME.match(value)
        if key == "Requires-Dist" and asked and asked[1] == extra and name:
            names.append(normal(name[0]))
    return tuple(names)


def check_requirements(requirements: Sequence[str]) -> list[str]:
    """Return requirement lines without comments.

    Raises:
        InvalidInput: a line is an option or a local path, which would not travel with the release.
    """
    kept = []
    for raw in requirements:
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        if not line:
            continue
        if line.startswith(("-", ".", "/")) or _NAME.match(line) is None:
            raise InvalidInput(
                f"requirement {line!r} is not a package with a version",
                hint="options, local paths and -r files are not supported; list packages such as numpy>=2",
            )
        kept.append(line)
    return kept


def _logical_lines(text: str) -> Iterable[tuple[int, str]]:
    joined, start = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = re.sub(r"(^|\s)#.*$", "", raw).rstrip()
        start = start if joined else number
        if line.endswith("\\"):
            joined += line[:-1].strip() + " "
            continue
        joined += line.strip()
        if joined.strip():
            yield start, joined.strip()
        joined = ""
    if joined.strip():
        yield start, joined.strip()


def _toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{source} is not valid TOML: {error}") from error
