"""What a process and its descendants use, as the kernel counts it."""

import os
import time
from pathlib import Path

from prometheus_ai.domain.replica import ReplicaUsage

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PROCESSES_MAX = 512
"""A replica with more processes is measured by these."""


def usage_of(pid: int) -> ReplicaUsage | None:
    """Return what a process tree uses; None when its first process is gone."""
    ticks = pages = 0
    waiting, seen = [pid], 0
    while waiting and seen < _PROCESSES_MAX:
        found = waiting.pop()
        folder = Path(f"/proc/{found}")
        try:
            # The name in the second field may hold spaces and brackets; the rest begins after its last one.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            resident = (folder / "statm").read_text().split()[1]
            waiting.extend(
                int(child)
                for task in (folder / "task").iterdir()
                for child in (task / "children").read_text().split()
            )
        except (OSError, IndexError):
            if found == pid:
                return None
            continue
        # Own time and that of children which ended, in user and kernel mode.
        ticks += sum(int(value) for value in fields[11:15])
        pages += int(resident)
        seen += 1
    return ReplicaUsage(
        at_s=time.monotonic(), cpu_s=ticks / _TICKS_PER_S, memory_bytes=pages * _PAGE_BYTES
    )
