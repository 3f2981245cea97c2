"""Sealed bundles: everything that a site without a network needs, in one file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedBundle:
    """A bundle of which every byte was checked against its digest."""

    digest: str
    """Of the list of all parts: what a seal signs."""
    parts: Mapping[str, Path]
    """Files by name."""
    image: str
    """The image's id: the digest of its configuration; empty where there is none."""
    seal: bytes
    """A signed statement about the digest; empty where nobody sealed it."""


class BundleFormat(Protocol):
    """Writes and reads bundles."""

    def write(
        self,
        target: Path,
        parts: Mapping[str, Path | bytes],
        image: Path | None,
        statements: Sequence[bytes],
    ) -> str:
        """Write a bundle with a saved image and the statements about it, all of it or nothing; return its digest.

        Raises:
            InvalidInput: the image cannot be read.
        """

    def read(self, source: Path, folder: Path) -> OpenedBundle:
        """Check every byte of a bundle, and unpack its parts into a folder.

        Raises:
            InvalidInput: it is no bundle.
            Corrupted: bytes are not what their digest says, are missing, or are there and named by nothing.
        """
