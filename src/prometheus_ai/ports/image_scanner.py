"""Looking into images."""

from pathlib import Path
from typing import Protocol

from prometheus_ai.domain.gate import ImageScan


class ImageScanner(Protocol):
    """Reads saved images, any image, without running them."""

    def scan(self, path: Path) -> ImageScan:
        """Look into a saved image: an OCI layout (folder or tar), the engine's own archive, or a root file system.

        Raises:
            InvalidInput: it is none of these, or damaged; what was not read is never taken for clean.
        """
