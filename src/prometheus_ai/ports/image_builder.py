"""Making images."""

from pathlib import Path
from typing import Protocol

from prometheus_ai.domain.release import Release
from prometheus_ai.ports.driver import Progress


class ReleaseImages(Protocol):
    """Gives a target the image of a release."""

    def make(self, release: Release, lock_path: Path, progress: Progress) -> None:
        """Make the image, or find it made. May take minutes; safe to repeat.

        The image is labelled with the release, its lock and how it gets its model.

        Raises:
            InvalidInput: it can never be made.
            Unavailable: it may work later.
        """
