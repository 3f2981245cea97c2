"""An artefact store in memory."""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import rfc8785

from prometheus_ai.domain.errors import (
    Corrupted,
    InvalidInput,
    NotFound,
    PlatformError,
    Unavailable,
)
from prometheus_ai.domain.release import Artefact


class FakeArtefactStore:
    """Keeps bytes in memory; ``open_path`` writes them below ``root``.

    ``web`` is the whole internet: URL to bytes. ``failure`` is raised by every write when set.
    """

    def __init__(self, root: Path) -> None:
        self.web: dict[str, bytes] = {}
        self.failure: PlatformError | None = None
        self._root = root
        self._lock = threading.Lock()
        self._blobs: dict[str, bytes] = {}
        self._trees: dict[str, dict[str, str]] = {}

    def put_stream(self, chunks: Iterable[bytes], *, expected: str | None) -> str:
        """Store bytes."""
        content = b"".join(chunks)
        if self.failure is not None:
            raise self.failure
        digest = _digest(content)
        if expected is not None and digest != expected:
            raise Corrupted(f"the bytes have digest {digest}, not {expected}")
        with self._lock:
            self._blobs[digest] = content
        return digest

    def put_tree(self, files: dict[str, str]) -> str:
        """Store a manifest."""
        if self.failure is not None:
            raise self.failure
        with self._lock:
            for name, digest in files.items():
                if not _is_inside(name) or _is_folder_of(name, files):
                    raise InvalidInput(f"{name!r} is not a plain path inside a tree")
                if digest not in self._blobs:
                    raise InvalidInput(f"{name}: {digest} is not stored")
            manifest = rfc8785.dumps({"files": dict(files), "format": "pai-tree-1"})
            digest = _digest(manifest)
            self._trees[digest] = dict(files)
            self._blobs[digest] = manifest
        return digest

    def fetch(self, url: str, sha256: str) -> str:
        """Take bytes from ``web``."""
        if url not in self.web:
            raise Unavailable(f"{url} cannot be reached")
        return self.put_stream([self.web[url]], expected=f"sha256:{sha256}")

    def has(self, digest: str) -> bool:
        """Whether these bytes are stored."""
        with self._lock:
            return digest in self._blobs

    def size_bytes(self, digest: str) -> int:
        """Return the size of a file, or the sum over a tree's files."""
        with self._lock:
            if digest not in self._blobs:
                raise NotFound(f"artefact {digest} is not stored")
            if digest in self._trees:
                return sum(len(self._blobs[part]) for part in self._trees[digest].values())
            return len(self._blobs[digest])

    def open_path(self, artefact: Artefact) -> Path:
        """Write the content below ``root`` and return its path."""
        with self._lock:
            if artefact.digest not in self._blobs:
                raise NotFound(f"artefact {artefact.digest} is not stored")
            files: Mapping[str, str] = {"": artefact.digest}
            if artefact.is_tree:
                files = self._trees[artefact.digest]
            path = self._root / artefact.digest.removeprefix("sha256:") / artefact.name
            for name, digest in files.items():
                content = self._blobs[digest]
                if _digest(content) != digest:
                    raise Corrupted(f"artefact {digest} changed in storage")
                target = path / name if name else path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            return path

    def read(self, digest: str) -> Iterator[bytes]:
        """Yield the bytes of a stored file."""
        with self._lock:
            if digest not in self._blobs:
                raise NotFound(f"artefact {digest} is not stored")
            content = self._blobs[digest]
        yield content

    def digests(self) -> Iterator[str]:
        """Yield every stored digest."""
        with self._lock:
            known = sorted(self._blobs)
        yield from known

    def delete(self, digest: str) -> int:
        """Remove a digest."""
        with self._lock:
            self._trees.pop(digest, None)
            return len(self._blobs.pop(digest, b""))

    def corrupt(self, digest: str) -> None:
        """Damage stored bytes behind the store's back."""
        with self._lock:
            self._blobs[digest] = b"\x00" + self._blobs[digest]


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    is_plain = path.as_posix() == name and bool(path.parts)
    return is_plain and not path.is_absolute() and ".." not in path.parts


def _is_folder_of(name: str, files: Mapping[str, str]) -> bool:
    return any(other.startswith(f"{name}/") for other in files)
