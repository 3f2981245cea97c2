"""Which processes a home started: records that name a process for good, not only its number."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = "processes"
KILL_WAIT_S = 5.0
POLL_S = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessRecord:
    """A process of this home."""

    name: str
    pid: int
    identity: str
    """Boot and start time: another process with the same number differs in it."""

    @property
    def is_alive(self) -> bool:
        """Whether this very process runs."""
        return identity(self.pid) == self.identity


def identity(pid: int) -> str:
    """Return what tells a process from every other one; empty when there is none, or only its remains."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The second field is the command in parentheses, and it may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if fields[0] in ("Z", "X") else f"{boot}:{fields[19]}"


def record(run: Path, name: str, pid: int) -> ProcessRecord:
    """Write down a process of this home; ``run`` is the home's folder for such things."""
    made = ProcessRecord(name=name, pid=pid, identity=identity(pid))
    folder = run / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = folder / f".{name}-{pid}.new"
    aside.write_text(json.dumps(asdict(made)))
    aside.rename(_path(run, made))
    return made


def forget(run: Path, known: ProcessRecord) -> None:
    """Remove the record of a process that ended."""
    _path(run, known).unlink(missing_ok=True)


@contextmanager
def recorded(run: Path, name: str) -> Iterator[None]:
    """Keep this process on record while the block runs."""
    mine = record(run, name, os.getpid())
    try:
        yield
    finally:
        forget(run, mine)


def living(run: Path, name: str | None = None) -> tuple[ProcessRecord, ...]:
    """Return the recorded processes that run, and clear away records of those that do not."""
    found = []
    for path in sorted((run / FOLDER).glob("*.json")):
        try:
            known = ProcessRecord(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            continue
        if not known.is_alive:
            path.unlink(missing_ok=True)
        elif name in (None, known.name):
            found.append(known)
    return tuple(found)


def end(known: ProcessRecord, grace_s: float) -> bool:
    """Ask a process to end, and kill it when it has not after ``grace_s``; return whether it is gone."""
    for number, bound_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, KILL_WAIT_S)):
        if not known.is_alive:
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(known.pid, number)
        if _wait_gone(known, bound_s):
            return True
    return not known.is_alive


def _wait_gone(known: ProcessRecord, bound_s: float) -> bool:
    until = time.monotonic() + bound_s
    while known.is_alive:
        if time.monotonic() >= until:
            return False
        time.sleep(POLL_S)
    return True


def _path(run: Path, known: ProcessRecord) -> Path:
    return run / FOLDER / f"{known.name}-{known.pid}.json"
