"""What the readers of all formats share."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from prometheus_ai.adapters.scanners.model_files.allowed import AllowList
from prometheus_ai.adapters.scanners.model_files.notes import Notes
from prometheus_ai.adapters.scanners.model_files.source import Budget, Source, Unreadable


@dataclass(frozen=True)
class Scan:
    """One file under way, or a member of one."""

    allow: AllowList
    budget: Budget
    notes: Notes
    look: Callable[[Source, "Scan", str], None]
    """Reads a stream of any format; for what lies inside another file."""
    siblings: frozenset[str] = frozenset()
    """Other files of the same model folder, by their path beside this one."""
    depth: int = 0

    def inside(self, member: str) -> "Scan":
        """Return the scan of a member.

        Raises:
            Unreadable: files are nested deeper than any model's.
        """
        if self.depth >= self.budget.depth_max:
            raise Unreadable(f"nested deeper than {self.budget.depth_max}", "bomb")
        return replace(self, notes=self.notes.inside(member), depth=self.depth + 1)
