"""Looking into model files before anything loads them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from prometheus_ai.domain.gate import ModelScan


class ModelScanner(Protocol):
    """Reads model files without loading them.

    Promises: nothing of the file is executed; what could not be read to the end is a finding;
    no input makes it raise.
    """

    @property
    def name(self) -> str:
        """Name and version of the rules; another name means that old answers do not count."""

    def scan(self, path: Path, digest: str, allow: Iterable[str] = ()) -> ModelScan:
        """Look into a file or folder; ``allow`` are callables allowed beyond the scanner's own."""
