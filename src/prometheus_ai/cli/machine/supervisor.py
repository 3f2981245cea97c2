"""Keeps the control plane and the gateway running. Standard library alone: it lives as long as they do.

``python -m prometheus_ai.cli.machine.supervisor RUN LOGS`` is what ``pai up --detach`` leaves behind.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from prometheus_ai.cli.machine.processes import (
    ProcessRecord,
    end,
    forget,
    living,
    record,
    recorded,
)

NAME = "supervisor"
NAMES = ("gateway", "server")
"""In the order of their start; they end the other way round."""
LOOK_S = 0.25
STEADY_S = 30.0
"""A process that lived this long starts again at once when it dies."""
BACKOFF_S = (0.2, 10.0)
GRACE_S = 20.0
LOG_BYTES_MAX = 8 * 2**20

Say = Callable[[str], None]


@dataclass(kw_only=True)
class Child:
    """One process that is to run."""

    name: str
    argv: Sequence[str]
    log: Path | None
    """None: it writes where the supervisor writes."""
    process: subprocess.Popen[bytes] | None = None
    known: ProcessRecord | None = None
    started_at: float = 0.0
    backoff_s: float = 0.0
    restart_at: float = 0.0
    restarts: int = 0


@dataclass(kw_only=True)
class Supervisor:
    """Starts or adopts both processes, and starts them again when they die."""

    run: Path
    children: list[Child]
    say: Say
    stopping: threading.Event = field(default_factory=threading.Event)

    def keep_running(self) -> None:
        """Supervise until ``stopping`` is set, then end both."""
        try:
            for child in self.children:
                self._adopt_or_start(child)
            while not self.stopping.wait(LOOK_S):
                for child in self.children:
                    self._look(child)
        finally:
            self._end_all()

    def _adopt_or_start(self, child: Child) -> None:
        running = living(self.run, child.name)
        if running:
            child.known, child.started_at = running[0], time.monotonic()
            self.say(f"{child.name} runs already as process {running[0].pid}; watching it")
        else:
            self._start(child)

    def _start(self, child: Child) -> None:
        try:
            child.process = _spawn(child)
        except OSError as error:
            self.say(f"{child.name} cannot be started: {error}")
            self._plan_restart(child, lived_s=0.0)
            return
        child.known = record(self.run, child.name, child.process.pid)
        child.started_at = time.monotonic()

    def _look(self, child: Child) -> None:
        now = time.monotonic()
        if child.known is None:
            if now >= child.restart_at:
                self._start(child)
            return
        code = child.process.poll() if child.process is not None else None
        has_ended = code is not None if child.process is not None else not child.known.is_alive
        if has_ended:
            forget(self.run, child.known)
            self._plan_restart(child, lived_s=now - child.started_at)
            self.say(
                f"{child.name} ended ({_in_words(code)}); starting it again in {child.backoff_s:g} s"
            )

    def _plan_restart(self, child: Child, lived_s: float) -> None:
        child.process = child.known = None
        child.restarts += 1
        first, longest = BACKOFF_S
        child.backoff_s = (
            0.0 if lived_s > STEADY_S else min(max(child.backoff_s * 2, first), longest)
        )
        child.restart_at = time.monotonic() + child.backoff_s

    def _end_all(self) -> None:
        for child in reversed(self.children):
            if child.known is None:
                continue
            if child.process is not None:
                _end_own(child.process)
            else:
                end(child.known, GRACE_S)
            forget(self.run, child.known)


def children(logs: Path | None) -> list[Child]:
    """Return the processes of an installation; ``logs`` is the folder for their output, None for none."""
    return [
        Child(
            name=name,
            argv=(sys.executable, "-m", "prometheus_ai.cli", name),
            log=logs / f"{name}.log" if logs else None,
        )
        for name in NAMES
    ]


def stop_on_signals(stopping: threading.Event) -> None:
    """Let SIGTERM, SIGINT and SIGHUP set ``stopping``."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)


def main() -> None:
    """Supervise in the background until told to stop."""
    run, logs = Path(sys.argv[1]), Path(sys.argv[2])
    supervisor = Supervisor(run=run, children=children(logs), say=_log)
    stop_on_signals(supervisor.stopping)
    with recorded(run, NAME):
        supervisor.keep_running()


def _spawn(child: Child) -> subprocess.Popen[bytes]:
    if child.log is None:
        # Its own group: Ctrl-C reaches the supervisor alone, which ends its children in order.
        return subprocess.Popen(child.argv, stdin=subprocess.DEVNULL, process_group=0)
    _keep_bounded(child.log)
    with child.log.open("ab") as output:
        return subprocess.Popen(
            child.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _keep_bounded(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.1"))


def _end_own(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


def _in_words(code: int | None) -> str:
    if code is None:
        return "how is unknown: it was adopted"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _log(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    os.umask(0o077)
    main()
