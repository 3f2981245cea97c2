"""One Envoy process: started in a session of its own, or adopted while it runs."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Self

from prometheus_ai.adapters.handles import end_process, readable
from prometheus_ai.domain.errors import Unavailable

LOG_BYTES_MAX = 8 * 2**20


class EnvoyProcess:
    """A running Envoy. It outlives whoever holds this object."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self._child = child
        # A pidfd names this very process, even after its number is given to another one.
        self._pidfd = os.pidfd_open(pid)
        self.epoch = f"{pid}-{_started_ticks(pid)}"
        """Tells this process from every other one, also from a later one with the same number."""

    @classmethod
    def start(cls, binary: Path, folder: Path, log: Path, workers: int) -> Self:
        """Start Envoy in ``folder`` with the files there.

        Raises:
            Unavailable: it cannot be started.
        """
        command = [
            str(binary), "--config-path", "bootstrap.json", "--concurrency", str(workers),
            # With hot restart Envoy would end together with the thread that started it.
            "--disable-hot-restart", "--log-level", "warning",
            "--drain-time-s", "30", "--drain-strategy", "immediate",
        ]  # fmt: skip
        try:
            keep_log_bounded(log)
            with log.open("ab") as output:
                child = subprocess.Popen(
                    command,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    env={"PATH": os.defpath},
                )
        except OSError as error:
            raise Unavailable(f"Envoy cannot be started from {binary}: {error}") from error
        return cls(child.pid, child)

    @classmethod
    def adopt(cls, pid: int) -> Self | None:
        """Take over a running Envoy by its process id; None when it has just ended."""
        try:
            return cls(pid)
        except (ProcessLookupError, FileNotFoundError):
            return None

    def wait_for_end(self, wake: int, timeout_s: float) -> bool:
        """Wait until the process ends, ``wake`` becomes readable or time is up; tell whether it ended."""
        return self._pidfd in readable(self._pidfd, wake, within_s=timeout_s)

    def end(self, grace_s: float) -> None:
        """Ask the process to end, and kill it when it has not after ``grace_s``."""
        end_process(self._pidfd, grace_s)

    def release(self) -> str:
        """Let go of the process; return how it ended, as far as that can be known."""
        os.close(self._pidfd)
        if self._child is None:
            return "it was adopted, so how it ended is unknown"
        code = self._child.poll()
        if code is None:
            # It goes on without us, so nobody waits for it, and that is no mistake.
            self._child.returncode = 0
            return "still running"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _started_ticks(pid: int) -> str:
    # The second field is the command in parentheses, and it may hold spaces.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def keep_log_bounded(log: Path) -> None:
    """Set a large log aside, over the previous one, and go on with an empty one.

    Raises:
        OSError: the log cannot be moved.
    """
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        # Envoy keeps the file open for appending, so the content moves and the file stays.
        log.with_suffix(".log.1").write_bytes(log.read_bytes()[-LOG_BYTES_MAX:])
        os.truncate(log, 0)
