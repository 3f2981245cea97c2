"""Keeps one Envoy running: adopts it, starts it, notices its death, starts it again."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_ai.adapters.gateways.envoy.admin import EnvoyAdmin
from prometheus_ai.adapters.gateways.envoy.process import EnvoyProcess, keep_log_bounded
from prometheus_ai.domain.errors import PlatformError, Unavailable

LIVE_S = 20.0
"""Longest from start to serving."""
STEADY_S = 10.0
"""An Envoy that lived this long is restarted at once when it dies."""
BACKOFF_S = (0.1, 5.0)
LOG_CHECK_S = 60.0
DRAIN_S = 10.0

Report = Callable[..., None]
"""Called with an event name and fields."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvoyPlace:
    """Where one Envoy lives."""

    binary: Path
    folder: Path
    """Its working folder: ``bootstrap.json``, ``xds/`` and ``admin.sock``."""
    log: Path
    host: str
    port: int
    workers: int


class EnvoySupervisor:
    """Owns one thread that keeps Envoy running until it is told to stop."""

    def __init__(
        self, place: EnvoyPlace, admin: EnvoyAdmin, node_id: Callable[[], str], report: Report
    ) -> None:
        self._place = place
        self._admin = admin
        self._node_id = node_id
        self._report = report
        self._process: EnvoyProcess | None = None
        self._wake_read, self._wake_write = os.pipe()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_running, name="envoy-supervisor")
        self.restarts = 0
        self.problem = ""
        """Why Envoy does not run now; empty while it does."""

    @property
    def pid(self) -> int | None:
        """Return Envoy's process id while it runs."""
        process = self._process
        return process.pid if process else None

    @property
    def epoch(self) -> str:
        """Return the identity of the Envoy that runs; empty while none does."""
        process = self._process
        return process.epoch if process else ""

    def open(self) -> None:
        """Adopt or start Envoy, then keep it running.

        Raises:
            Unavailable: it does not come up; says why.
        """
        self._process = self._bring_up()
        self._thread.start()

    def close(self, *, leave_running: bool) -> None:
        """Stop watching; drain and end Envoy, or leave it serving."""
        self._stopping.set()
        os.write(self._wake_write, b"x")
        if self._thread.ident is not None:
            self._thread.join()
        if self._process is not None:
            if not leave_running:
                self._drain(self._process)
            self._process.release()
            self._process = None
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _keep_running(self) -> None:
        backoff_s = 0.0
        while not self._stopping.is_set():
            if self._process is None:
                self._stopping.wait(backoff_s)
                if self._stopping.is_set():
                    return
                try:
                    self._process = self._bring_up()
                except PlatformError as error:
                    self.problem = error.message
                    self._report("envoy_not_started", error=error.message)
                    backoff_s = min(max(backoff_s * 2, BACKOFF_S[0]), BACKOFF_S[1])
                    continue
            lived_s = self._watch(self._process)
            if not self._stopping.is_set():
                backoff_s = (
                    0.0
                    if lived_s > STEADY_S
                    else min(max(backoff_s * 2, BACKOFF_S[0]), BACKOFF_S[1])
                )

    def _watch(self, process: EnvoyProcess) -> float:
        since = time.monotonic()
        while not process.wait_for_end(self._wake_read, LOG_CHECK_S):
            if self._stopping.is_set():
                return time.monotonic() - since
            with contextlib.suppress(OSError):
                keep_log_bounded(self._place.log)
        self._process = None
        self.restarts += 1
        how = process.release()
        self.problem = f"Envoy ended ({how}) and is being restarted"
        self._report("envoy_ended", pid=process.pid, how=how, restarts=self.restarts)
        return time.monotonic() - since

    def _bring_up(self) -> EnvoyProcess:
        process = self._adopt() or self._start()
        self.problem = ""
        return process

    def _adopt(self) -> EnvoyProcess | None:
        info = self._admin.server_info()
        process = EnvoyProcess.adopt(info.pid) if info else None
        if info is None or process is None:
            return None
        if info.node_id == self._node_id():
            self._report("envoy_adopted", pid=info.pid)
            return process
        self._report("envoy_replaced", pid=info.pid, reason="it was started in another way")
        self._drain(process)
        process.release()
        return None

    def _start(self) -> EnvoyProcess:
        place = self._place
        check_port_is_free(place.host, place.port)
        (place.folder / "admin.sock").unlink(missing_ok=True)
        process = EnvoyProcess.start(place.binary, place.folder, place.log, place.workers)
        started = time.monotonic()
        while time.monotonic() < started + LIVE_S:
            info = self._admin.server_info()
            if info is not None and info.is_live:
                took_s = round(time.monotonic() - started, 3)
                self._report("envoy_started", pid=process.pid, took_s=took_s)
                return process
            if process.wait_for_end(self._wake_read, 0.01):
                how = process.release()
                raise Unavailable(f"Envoy ended while it started ({how}); see {place.log}")
            if self._stopping.is_set():
                break
        process.end(grace_s=0.0)
        process.release()
        raise Unavailable(f"Envoy was not serving within {LIVE_S:g} s; see {place.log}")

    def _drain(self, process: EnvoyProcess) -> None:
        with contextlib.suppress(Unavailable):
            self._admin.drain()
            deadline = time.monotonic() + DRAIN_S
            while self._admin.requests_active() and time.monotonic() < deadline:
                time.sleep(0.02)
        process.end(grace_s=5.0)
        self._report("envoy_stopped", pid=process.pid)


def check_port_is_free(host: str, port: int) -> None:
    """Check that the gateway's port can be taken.

    Raises:
        Unavailable: another program has it, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Unavailable(
                f"the gateway cannot listen on {host}:{port}: {error.strerror}",
                hint="end the program that has the port, or set gateway_port",
            ) from error
