"""Bringing files to the artefact store by their digest: what is there already is not sent again."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prometheus_ai.client.wire import CHUNK_BYTES, Wire
from prometheus_ai.domain.errors import InvalidInput, NotFound

UPLOAD_TIMEOUT_S = 300.0
"""Longest pause of the server while it takes a file."""
TREE_FILES_MAX = 10_000
_CLASS_IN_FILE = re.compile(r"(.+\.py):[A-Za-z_]\w*")

SAID_FROM_BYTES = 8 * 2**20
"""Smaller files go without a word."""

Say = Callable[[str], None]
"""Called with one line for each step."""

Store = Callable[[Path, Say], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Uploaded:
    """A file or folder in the artefact store."""

    digest: str
    name: str
    is_tree: bool


def upload(wire: Wire, base: Path, path: str, say: Say, *, dry_run: bool = False) -> Uploaded:
    """Store a file or a folder that a spec names; ``base`` is the spec's own folder.

    A ``dry_run`` digests without sending.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it changed while it was read, or is no plain file or folder.
    """
    found = existing(base, path)
    store = _digest if dry_run else partial(_upload_file, wire)
    if found.is_dir():
        files = _digest_files(found, store, say)
        digest = tree_digest(files) if dry_run else _store_tree(wire, files)
        return Uploaded(digest=digest, name=found.name, is_tree=True)
    digest = store(found, say)
    return Uploaded(digest=digest, name=found.name, is_tree=False)


def existing(base: Path, path: str) -> Path:
    """Return a file or folder that a spec names; ``base`` is the spec's own folder.

    Raises:
        NotFound: there is none.
        InvalidInput: it is neither, or no path.
    """
    if "\0" in path:
        raise InvalidInput(f"{path!r} is no path: it holds a null character")
    found = (base / Path(path).expanduser()).resolve()
    class_in_file = _CLASS_IN_FILE.fullmatch(path)
    if not found.exists() and class_in_file is not None:
        found = (base / Path(class_in_file[1]).expanduser()).resolve()
    if not found.exists():
        raise NotFound(f"{path} does not exist beside the spec", hint=f"looked for {found}")
    if not (found.is_file() or found.is_dir()):
        raise InvalidInput(f"{found} is neither a file nor a folder")
    return found


def tree_digest(files: Mapping[str, str]) -> str:
    """Return the digest of a folder: over the canonical JSON (RFC 8785) of its manifest."""
    # Keys sort by UTF-16 code units there, which differs from Python's order beyond the basic plane.
    ordered = dict(sorted(files.items(), key=lambda item: item[0].encode("utf-16-be")))
    manifest = json.dumps(
        {"files": ordered, "format": "pai-tree-1"}, ensure_ascii=False, separators=(",", ":")
    )
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


def _store_tree(wire: Wire, files: Mapping[str, str]) -> str:
    answer = wire.ask("POST", "/api/v1/artefacts/trees", body={"files": dict(files)})
    return str(answer.json()["digest"])


def _digest_files(folder: Path, store: Store, say: Say) -> dict[str, str]:
    files: dict[str, str] = {}
    for path in _files_of(folder):
        if len(files) >= TREE_FILES_MAX:
            raise InvalidInput(
                f"{folder} has more than {TREE_FILES_MAX:,} files", hint="is it the right folder?"
            )
        files[path.relative_to(folder).as_posix()] = store(path, say)
    if not files:
        raise InvalidInput(f"{folder} is empty")
    return files


def _files_of(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in ("__pycache__", ".git"))
        for name in sorted(names):
            path = Path(root, name)
            if not path.is_file():
                raise InvalidInput(f"{path} is no plain file", hint="remove it from the folder")
            if not path.resolve().is_relative_to(folder):
                raise InvalidInput(f"{path} leads out of the folder", hint="put a copy there")
            yield path


def _upload_file(wire: Wire, path: Path, say: Say) -> str:
    digest, size = _digest(path, say), path.stat().st_size
    try:
        wire.ask("HEAD", f"/api/v1/artefacts/{digest}")
    except NotFound:
        meter = Meter(what=f"uploading {path.name}", total=size, say=say)
        wire.upload(f"/api/v1/artefacts/{digest}", path, size, meter.add, UPLOAD_TIMEOUT_S)
    return digest


def _digest(path: Path, say: Say) -> str:
    content = hashlib.sha256()
    meter = Meter(what=f"reading {path.name}", total=path.stat().st_size, say=say)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            content.update(chunk)
            meter.add(len(chunk))
    return f"sha256:{content.hexdigest()}"


@dataclass(kw_only=True)
class Meter:
    """Says every tenth of a large file."""

    what: str
    total: int
    say: Say
    _done: int = 0
    _said: int = -1

    def add(self, amount: int) -> None:
        """Count bytes that were handled."""
        self._done += amount
        tenth = self._done * 10 // max(self.total, 1)
        if self.total >= SAID_FROM_BYTES and tenth > self._said:
            self._said = tenth
            self.say(f"{self.what}: {tenth * 10} % of {self.total / 2**20:.0f} MiB")
