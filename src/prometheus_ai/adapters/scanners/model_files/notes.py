"""What a scan has found so far."""

from dataclasses import dataclass, field

from prometheus_ai.adapters.scanners.model_files.source import Unreadable
from prometheus_ai.domain.gate import ModelFinding

FINDINGS_MAX = 100


@dataclass
class _Shared:
    findings: list[ModelFinding] = field(default_factory=list)
    formats: set[str] = field(default_factory=set)
    runs_code: bool = False
    is_source: bool = False


class Notes:
    """Findings of one scan; ``inside`` gives the notes of a member of a file."""

    def __init__(self, file: str, shared: _Shared | None = None) -> None:
        self.file = file
        self._shared = shared or _Shared()

    def inside(self, member: str) -> "Notes":
        """Return notes that name a member of this file."""
        return Notes(f"{self.file}!{member}" if self.file else member, self._shared)

    def apart(self) -> "Notes":
        """Return notes of this file whose findings are not the scan's, for a reading that may be wrong."""
        return Notes(self.file)

    def unsafe(self, message: str, where: str = "", name: str = "") -> None:
        """Record that loading would run code."""
        self.add("unsafe", message, where, name)

    def fault(self, error: Unreadable) -> None:
        """Record that the file could not be read to the end."""
        self.add(error.kind, error.message)

    def add(self, kind: str, message: str, where: str = "", name: str = "") -> None:
        """Record a finding once; beyond the bound only the first ones are kept."""
        found = ModelFinding(kind=kind, message=message, file=self.file, where=where, name=name)
        known = self._shared.findings
        if len(known) < FINDINGS_MAX and not any(_same(found, one) for one in known):
            known.append(found)

    def is_format(self, name: str, *, runs_code: bool = False, is_source: bool = False) -> None:
        """Record what something is."""
        self._shared.formats.add(name)
        self._shared.runs_code |= runs_code
        self._shared.is_source |= is_source

    @property
    def findings(self) -> tuple[ModelFinding, ...]:
        """Everything found, in order."""
        return tuple(self._shared.findings)

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats seen, sorted."""
        return tuple(sorted(self._shared.formats))

    @property
    def runs_code(self) -> bool:
        """Whether a format lets the file choose callables."""
        return self._shared.runs_code

    @property
    def is_source(self) -> bool:
        """Whether Python source was seen."""
        return self._shared.is_source


def _same(one: ModelFinding, other: ModelFinding) -> bool:
    return (one.kind, one.message, one.file) == (other.kind, other.message, other.file)
