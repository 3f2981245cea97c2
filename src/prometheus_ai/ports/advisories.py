"""Known weaknesses of packages."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from prometheus_ai.domain.gate import AdvisoryData, Component, Vulnerability


class AdvisoryDatabase(Protocol):
    """Advisories on this machine, indexed by package."""

    def status(self) -> AdvisoryData:
        """Say what is in it; an empty digest when there is nothing."""

    def match(self, components: Iterable[Component]) -> tuple[Vulnerability, ...]:
        """Return the known weaknesses of these components, worst first; aliases are one weakness.

        Raises:
            Unavailable: the database cannot be read.
        """

    def import_archive(self, path: Path) -> AdvisoryData:
        """Take in an OSV archive (ZIP of JSON) or a catalogue of exploited weaknesses; all of it or nothing.

        Raises:
            InvalidInput: the file is neither.
            Unavailable: the disk cannot be written.
        """

    def update(self, url: str) -> AdvisoryData:
        """Download an archive over http(s) and take it in.

        Raises:
            InvalidInput: what came is no archive.
            Unavailable: the host cannot be reached.
        """
