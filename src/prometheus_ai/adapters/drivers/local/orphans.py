"""Killing what a replica left behind when its supervisor could not."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

FOLDER_VARIABLE = "PAI_REPLICA_FOLDER"
ROUNDS = 20
PAUSE_S = 0.02


def kill_orphans(folder: Path, cgroups: Sequence[Path]) -> None:
    """Kill every process of the replica in ``folder`` and remove its control groups.

    A process is known by its environment or its group, never by a number alone: numbers are given again.
    """
    mark = f"{FOLDER_VARIABLE}={folder}".encode()
    for _ in range(ROUNDS):
        inside = [pid for path in cgroups for pid in _members(path)]
        marked = [pid for pid in _pids() if _kill(pid, mark)]
        if not any(_kill(pid, None) for pid in inside) and not marked:
            break
        time.sleep(PAUSE_S)
    for path in cgroups:
        for _ in range(ROUNDS):
            # The kernel needs a moment after the last process ended.
            try:
                path.rmdir()
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(PAUSE_S)


def _members(cgroup: Path) -> list[int]:
    try:
        return [int(pid) for pid in (cgroup / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def _pids() -> Iterator[int]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            yield int(path.name)


def _kill(pid: int, mark: bytes | None) -> bool:
    """Kill a process, if its environment has the mark where one is asked for."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if mark is not None:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if mark not in environment:
                return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
