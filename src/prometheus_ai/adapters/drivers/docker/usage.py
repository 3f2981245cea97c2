"""What a container uses, from the engine's own statistics; pure."""

from collections.abc import Mapping
from typing import Any

from prometheus_ai.domain.replica import ReplicaUsage

_CACHE = ("inactive_file", "total_inactive_file")
"""File cache that the kernel gives back first: in control groups of version 2 and 1."""


def usage_from(stats: Mapping[str, Any], at_s: float) -> ReplicaUsage | None:
    """Read ``GET /containers/ID/stats``; None for a container that does not run."""
    total = (stats.get("cpu_stats") or {}).get("cpu_usage", {}).get("total_usage")
    memory = stats.get("memory_stats") or {}
    used = memory.get("usage")
    if not isinstance(total, int) or not isinstance(used, int) or not total:
        return None
    detail = memory.get("stats") or {}
    cache = next((int(detail[name]) for name in _CACHE if name in detail), 0)
    return ReplicaUsage(at_s=at_s, cpu_s=total / 1e9, memory_bytes=max(0, used - cache))
