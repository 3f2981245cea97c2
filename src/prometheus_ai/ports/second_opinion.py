"""Other scanners' opinions of an image, where they are installed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prometheus_ai.domain.gate import Component, Vulnerability


@dataclass(frozen=True, kw_only=True, slots=True)
class Opinion:
    """What one scanner said."""

    scanner: str
    """Its name and version."""
    vulnerabilities: tuple[Vulnerability, ...] = ()
    components: tuple[Component, ...] = ()
    """Packages that it found, where it lists packages."""
    problem: str = ""
    """Why it could say nothing; that is a finding, not an all-clear."""


class SecondOpinion(Protocol):
    """One scanner that may be installed on the control plane's machine."""

    def is_here(self) -> bool:
        """Whether it is installed."""

    def look(self, image: Path) -> Opinion:
        """Look into a saved image. Never raises for what the scanner does: a problem is part of the opinion."""
