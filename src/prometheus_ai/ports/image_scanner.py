"""Looking into images."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from prometheus_ai.domain.gate import ImageScan, Sbom


class ImageScanner(Protocol):
    """Reads saved images, any image, without running them."""

    def scan(self, path: Path) -> ImageScan:
        """Look into a saved image: an OCI layout (folder or tar), the engine's own archive, or a root file system.

        Raises:
            InvalidInput: it is none of these, or damaged; what was not read is never taken for clean.
        """

    def write_sbom(self, sbom: Sbom, name: str, made_at: str) -> bytes:
        """Return a list of packages as CycloneDX 1.6 JSON; ``made_at`` is written as it is."""


@runtime_checkable
class ImageSaver(Protocol):
    """An engine that gives its images away as files."""

    def save(self, reference: str, path: Path) -> str:
        """Write an image's archive to a file; return the image's id.

        Raises:
            NotFound: the engine has no such image.
            Unavailable: the engine or the disk cannot do it now.
        """


@runtime_checkable
class ImageLoader(Protocol):
    """An engine that takes images as files."""

    def load(self, path: Path, image: str) -> None:
        """Load an image that a file holds, unless the engine has it; ``image`` is its id.

        Raises:
            Corrupted: the engine made another image of it.
            Unavailable: the engine cannot take it now.
        """

    def has(self, image: str) -> bool:
        """Whether the engine has the image with this id."""
