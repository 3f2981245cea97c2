"""Making images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prometheus_ai.domain.image import (
    BaseImage,
    BuildEvent,
    BuildPlan,
    BuildRecord,
    ImageFacts,
    IndexFile,
    Libc,
)
from prometheus_ai.domain.release import Release
from prometheus_ai.ports.driver import Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildFiles:
    """The large inputs of a build, on this machine."""

    wheel: Path
    """The model server."""
    model: Path | None = None
    """The model, when it becomes a layer."""
    model_name: str = ""


class ReleaseImages(Protocol):
    """Gives a target the image of a release."""

    def make(self, release: Release, lock_path: Path, progress: Progress) -> None:
        """Make the image, or find it made. May take minutes; safe to repeat.

        The image is labelled with the release, its lock and how it gets its model.

        Raises:
            InvalidInput: it can never be made.
            Unavailable: it may work later.
        """


class ImageBuilder(Protocol):
    """Builds images on one engine."""

    def check(self) -> None:
        """Make sure that the engine answers and can build.

        Raises:
            Unavailable: it cannot; says why and what to do.
        """

    def base(self, reference: str) -> BaseImage:
        """Find a base image and its digest, pulling it when it is not there.

        Raises:
            InvalidInput: there is no such image.
            Unavailable: the engine or the image's registry cannot be reached.
        """

    def sdists(self, lock_path: Path, python: str, libc: Libc = "glibc") -> tuple[str, ...]:
        """Return the packages of a lock that have no wheel for this Python and C library on this kind of machine.

        Raises:
            Unavailable: the package index cannot be reached.
        """

    def offered(self, names: Sequence[str]) -> Mapping[str, Sequence[IndexFile]]:
        """Return the files that the package index has of each package.

        Raises:
            Unavailable: the index cannot be reached.
        """

    def sizes(self, references: Sequence[str]) -> Mapping[str, int]:
        """Return the bytes of those images that the engine has already."""

    def find(self, plan: BuildPlan) -> str | None:
        """Return the id of an image that was built from this very plan, or None."""

    def build(
        self, plan: BuildPlan, inputs: BuildFiles, on_event: Callable[[BuildEvent], None]
    ) -> BuildRecord:
        """Build a plan; ``on_event`` is told of steps, bytes and what the cache had, as they happen.

        Raises:
            InvalidInput: a step failed; says which and why.
            Unavailable: the engine cannot build: no BuildKit, unreachable, disk full.
        """

    def facts(self, reference: str, *, with_files: bool) -> ImageFacts:
        """Read what an image is, any image; its files only when asked: that reads all of it.

        Raises:
            NotFound: the engine has no such image.
        """
