"""Content-addressed bytes."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from prometheus_ai.domain.release import Artefact


class ArtefactStore(Protocol):
    """Keeps files and trees by the SHA-256 of their content.

    Promises: what ``put`` returned exists whole on disk and survives a crash; nothing half-written is ever
    visible; ``open_path`` gives a path whose content has the digest, or raises.
    """

    def put_stream(self, chunks: Iterable[bytes], *, expected: str | None) -> str:
        """Store bytes and return ``sha256:<hex>``.

        Raises:
            Corrupted: the bytes do not have the ``expected`` digest; nothing is kept.
            Unavailable: the disk is full or cannot be written; nothing is kept.
        """

    def put_tree(self, files: dict[str, str]) -> str:
        """Store a manifest of relative path to digest, all stored before; return the manifest's digest.

        Raises:
            InvalidInput: a path is absolute, leaves the tree, or names a digest that is not stored.
        """

    def fetch(self, url: str, sha256: str) -> str:
        """Download an http(s) URL, resuming where a broken download ended; return its digest.

        Raises:
            Corrupted: the bytes do not have that digest.
            Unavailable: the host cannot be reached or answers an error.
        """

    def has(self, digest: str) -> bool:
        """Whether these bytes are stored."""

    def size_bytes(self, digest: str) -> int:
        """Return the stored size; of a tree, the sum over its files."""

    def open_path(self, artefact: Artefact) -> Path:
        """Verify the content against its digest and return a read-only path to the file or folder.

        Raises:
            NotFound: it is not stored.
            Corrupted: the bytes on disk changed.
        """

    def read(self, digest: str) -> Iterator[bytes]:
        """Yield the bytes of a stored file."""

    def digests(self) -> Iterator[str]:
        """Yield every stored digest."""

    def delete(self, digest: str) -> int:
        """Remove a digest; return the bytes freed. An unknown digest frees nothing."""
