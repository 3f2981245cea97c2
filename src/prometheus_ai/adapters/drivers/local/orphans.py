"""Killing what a replica left behind when its supervisor could not."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

FOLDER_VARIABLE = "PAI_REPLICA_FOLDER"
ROUNDS = 20


def kill_orphans(folder: Path, cgroups: Sequence[Path]) -> None:
    """Kill every process of the replica in ``folder`` and remove its control groups.

    A process is known by its environment, never by a number alone: numbers are given again.
    """
    mark = f"{FOLDER_VARIABLE}={folder}".encode()
    for _ in range(ROUNDS):
        found = [pid for pid in _pids() if _kill_if_marked(pid, mark)]
        if not found:
            break
        time.sleep(0.01)
    for path in cgroups:
        try:
            path.rmdir()
        except OSError:
            continue


def _pids() -> Iterator[int]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            yield int(path.name)


def _kill_if_marked(pid: int, mark: bytes) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if mark not in environment:
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
