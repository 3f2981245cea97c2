"""What verification found."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from prometheus_ai.domain.event import TreeHead


class FindingKind(StrEnum):
    """One way in which a log is not what was written."""

    RECORD_EDITED = "record:edited"
    RECORD_DELETED = "record:deleted"
    RECORD_MOVED = "record:moved"
    RECORD_INSERTED = "record:inserted"
    LEAF_HASH_EDITED = "leaf_hash:edited"
    """A record is intact, and the hash stored beside it is not."""
    NODE_EDITED = "node:edited"
    """The records are intact, and a stored hash of the tree over them is not."""
    HEAD_EDITED = "head:edited"
    ROLLED_BACK = "log:rolled_back"
    """The log is shorter than a checkpoint says."""
    REWRITTEN = "log:rewritten"
    """The log is consistent in itself, and is not the one that a checkpoint vouches for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing wrong with records ``first`` to ``last``."""

    kind: FindingKind
    first: int
    last: int
    detail: str

    def __str__(self) -> str:
        return f"{name_records(self.first, self.last)}: {self.kind}: {self.detail}"


@dataclass(frozen=True, kw_only=True, slots=True)
class VerificationReport:
    """The outcome of reading the whole log."""

    records: int
    """Records read."""
    head: TreeHead | None
    """As stored."""
    root_hash: bytes
    """As computed from the records."""
    findings: tuple[Finding, ...]
    checkpoints: int
    """Checkpoints that the log was held against."""
    is_complete: bool
    """False when there were too many findings to list them all."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings and self.is_complete


def name_records(first: int, last: int) -> str:
    """Return ``record 7`` or ``records 7 to 9``."""
    return f"record {first}" if first == last else f"records {first} to {last}"


def runs(positions: Iterable[int]) -> list[tuple[int, int]]:
    """Return sorted positions as ranges, both ends included."""
    found: list[tuple[int, int]] = []
    for position in positions:
        if found and position == found[-1][1] + 1:
            found[-1] = (found[-1][0], position)
        else:
            found.append((position, position))
    return found
