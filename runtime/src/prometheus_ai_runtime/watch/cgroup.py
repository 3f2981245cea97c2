"""The container's CPU quota and throttling, from cgroup version 1 or 2."""

import math
import os
from pathlib import Path

_REFRESH_S = 0.01


def cpu_quota(
    root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc/self/cgroup")
) -> float | None:
    """CPUs this process may use by its quota, the tightest on its path; None without a quota."""
    tightest: float | None = None
    for folder in _folders(root, proc):
        limit = _limit(folder)
        if limit is not None and (tightest is None or limit < tightest):
            tightest = limit
    return tightest


def compute_threads() -> int:
    """Threads an engine may use: the quota rounded up, never more than the cores allowed."""
    cores = len(os.sched_getaffinity(0))
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


class Throttling:
    """Cumulative throttled microseconds, read at most every 10 ms."""

    __slots__ = ("_fd", "_key", "_read_at", "_scale", "total_us")

    def __init__(
        self, root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc/self/cgroup")
    ) -> None:
        self.total_us = 0
        self._read_at = 0.0
        self._fd = -1
        self._key, self._scale = b"", 1
        for folder in _folders(root, proc):
            stat = folder / "cpu.stat"
            # A cgroup without a quota never throttles, so reading it would be pure cost.
            if _limit(folder) is None or not stat.is_file():
                continue
            text = stat.read_bytes()
            if b"throttled_usec" in text:
                self._key, self._scale = b"throttled_usec ", 1
            elif b"throttled_time" in text:
                self._key, self._scale = b"throttled_time ", 1000
            else:
                continue
            self._fd = os.open(stat, os.O_RDONLY | os.O_CLOEXEC)
            self.refresh(math.inf)
            break

    def refresh(self, now: float) -> int:
        """The total as of at most 10 ms ago; ``now`` is in seconds."""
        if self._fd < 0 or now - self._read_at < _REFRESH_S:
            return self.total_us
        self._read_at = now if now != math.inf else 0.0
        text = os.pread(self._fd, 1024, 0)
        start = text.find(self._key)
        if start >= 0:
            self.total_us = int(text[start + len(self._key) :].split(None, 1)[0]) // self._scale
        return self.total_us

    def close(self) -> None:
        """Give the file handle back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _folders(root: Path, proc: Path) -> list[Path]:
    """The cgroup folders of this process that may carry a CPU quota, innermost first."""
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base = root
        elif "cpu" in controllers.split(","):
            base = next((b for b in (root / controllers, root / "cpu") if b.is_dir()), root)
        else:
            continue
        parts = [p for p in path.split("/") if p and p != ".."]
        for n in range(len(parts), -1, -1):
            folder = base.joinpath(*parts[:n])
            if folder.is_dir() and folder not in found:
                found.append(folder)
    return found


def _limit(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text().split()[:2]
            return None if quota == "max" else int(quota) / int(period)
        quota_us = int((folder / "cpu.cfs_quota_us").read_text())
        period_us = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None
