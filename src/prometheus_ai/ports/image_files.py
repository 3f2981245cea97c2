"""The files of saved images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prometheus_ai.domain.image_contents import ImageContents


class ImageFiles(Protocol):
    """Reads saved images file by file, and writes them again without some."""

    def read(self, path: Path) -> ImageContents:
        """List the files of a saved image, layer by layer; memory grows with their number, not their size.

        Raises:
            InvalidInput: it is no image, or has more files than are listed.
        """

    def write(self, path: Path, target: Path, dropped: Sequence[frozenset[str]], tag: str) -> None:
        """Write an archive of the same image that leaves out, in each layer, some paths.

        Raises:
            InvalidInput: it is no image, or a mere root file system.
            Unavailable: the disk is full.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What a container did."""

    code: int
    output: str


class ImageTrial(Protocol):
    """Runs images for a moment, cut off from every network, to see whether they work."""

    def load(self, path: Path) -> None:
        """Give the engine an archive.

        Raises:
            Unavailable: the engine cannot take it.
        """

    def run(self, image: str, command: Sequence[str]) -> Tried:
        """Run a command in a new container of the image; its own entrypoint is not used.

        Raises:
            Unavailable: the engine cannot run it.
        """

    def serve(self, image: str) -> Tried:
        """Start the model server of an image of ours, wait until it is ready, and ask for a prediction.

        Code 0 means that it answered.

        Raises:
            Unavailable: the engine cannot run it.
        """

    def size_bytes(self, image: str) -> int:
        """Return the bytes that the engine counts."""

    def rename(self, tag: str, new: str) -> None:
        """Give an image another tag instead."""

    def remove(self, tag: str) -> None:
        """Forget an image that was tried."""
