"""Starting a shim that outlives this process."""

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

from prometheus_ai.adapters.handles import readable

SHIM = "prometheus_ai.adapters.drivers.local.shim"
START_TIMEOUT_S = 10.0
STARTED = b"started"
_LOCK_FD = 3


def spawn_shim(folder: Path, lock: int) -> int:
    """Start the shim of ``folder`` in a session of its own, hand it the held lock, return its process id.

    Returns once the server exists and its record is on disk.

    Raises:
        OSError: it did not start; nothing is left running.
    """
    said_read, said_write = os.pipe2(os.O_CLOEXEC)
    errors = folder / "shim.err"
    shim = find_spec(SHIM)
    assert shim is not None
    assert shim.origin is not None
    argv = [sys.executable, "-I", "-S", shim.origin, str(folder), str(_LOCK_FD)]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        pid = os.posix_spawn(
            sys.executable,
            argv,
            {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, said_write, 1),
                (os.POSIX_SPAWN_OPEN, 2, str(errors), flags, 0o600),
                (os.POSIX_SPAWN_DUP2, lock, _LOCK_FD),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
        )
    except OSError:
        os.close(said_read)
        raise
    finally:
        os.close(said_write)
    try:
        if not _hear(said_read):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise OSError(
                _last_line(errors) or f"its supervisor said nothing in {START_TIMEOUT_S:g} s"
            )
    finally:
        os.close(said_read)
    return pid


def _hear(fd: int) -> bool:
    if not readable(fd, within_s=START_TIMEOUT_S):
        return False
    return os.read(fd, 64).startswith(STARTED)


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
