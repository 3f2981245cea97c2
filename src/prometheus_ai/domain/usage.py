"""What a replica uses of the machine that it runs on."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicaUsage:
    """One reading of a replica, with all processes that it started."""

    at_s: float
    """Monotonic time of the reading, on the reader's clock."""
    cpu_s: float
    """CPU time used since it started."""
    memory_bytes: int
    """What counts against its limit."""


def cpu_share(before: ReplicaUsage, now: ReplicaUsage) -> float | None:
    """Return the cores used between two readings; None where they tell nothing."""
    span_s = now.at_s - before.at_s
    # Less CPU time than before: the process was replaced under the same id.
    if span_s <= 0 or now.cpu_s < before.cpu_s:
        return None
    return (now.cpu_s - before.cpu_s) / span_s
