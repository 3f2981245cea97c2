"""The audit log, for people: verified whole, exported for others to verify."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_ai.audit import (
    VerificationReport,
    export,
    parse_checkpoint,
    read_checkpoint,
    verify,
)
from prometheus_ai.control.plane import Plane

HERE_RECORDS_MAX = 10_000
"""A longer log is verified in a process of its own: here it would slow every other answer for seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingView:
    """One thing wrong with records ``first`` to ``last``."""

    kind: str
    first: int
    last: int
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """The outcome of reading and hashing the whole log."""

    is_intact: bool
    records: int
    root_hash: str
    """Merkle root over all records (RFC 6962, section 2.1), in hex."""
    checkpoints: int
    """Checkpoints outside the store that the log was held against."""
    findings: tuple[FindingView, ...]
    is_complete: bool
    """False when there were too many findings to list them all."""


def verify_log(plane: Plane, checkpoint: Mapping[str, Any] | None) -> Verified:
    """Verify every record, and hold the log against the kept checkpoint and one that the caller kept.

    Raises:
        InvalidInput: the caller's checkpoint is none.
        Corrupted: the kept checkpoint cannot be read.
    """
    kept = read_checkpoint(plane.checkpoint_path) if plane.checkpoint_path else None
    given = parse_checkpoint(json.dumps(checkpoint), "checkpoint") if checkpoint else None
    checkpoints = [one for one in (kept, given) if one is not None]
    with plane.store.read() as reading:
        head = reading.audit_head()
        if plane.audit_check is None or (head is not None and head.size <= HERE_RECORDS_MAX):
            report = verify(reading, checkpoints=checkpoints)
            return _verified(report)
    return _verified(plane.audit_check(checkpoints))


def _verified(report: VerificationReport) -> Verified:
    return Verified(
        is_intact=report.is_sound,
        records=report.records,
        root_hash=report.root_hash.hex(),
        checkpoints=report.checkpoints,
        findings=tuple(
            FindingView(
                kind=found.kind.value, first=found.first, last=found.last, detail=found.detail
            )
            for found in report.findings
        ),
        is_complete=report.is_complete,
    )


def export_log(plane: Plane) -> Iterator[str]:
    """Yield the log as JSON lines that a short independent script can verify."""
    with plane.store.read() as reading:
        yield from export(reading, plane.clock.now())
