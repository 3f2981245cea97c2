"""The loops of the control plane: each a thread with an owner, a bounded wait and a way to stop."""

import threading
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from prometheus_ai.control.autoscale.tick import Autoscaler
from prometheus_ai.control.loop.measure import Meter
from prometheus_ai.control.loop.passes import reconcile_once
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollouts.tick import Judge
from prometheus_ai.domain.errors import PlatformError

log = structlog.get_logger()

JUDGE_S = 0.5
"""Pause between two looks at rollouts under way: a tripwire acts within two seconds."""
FAILURE_PAUSE_S = 1.0
FAILURE_PAUSE_S_MAX = 30.0


@dataclass(kw_only=True)
class Loops:
    """Runs the reconcile, measure, judge and scale loops until stopped."""

    plane: Plane
    reconcile_s: float
    scrape_s: float
    kept: timedelta
    """How long measurements and records of ended replicas are kept."""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Start the loops."""
        for name, body in (
            ("reconcile", self._reconcile),
            ("measure", self._measure),
            ("judge", self._judge),
            ("scale", self._scale),
        ):
            thread = threading.Thread(target=body, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Ask the loops to end, and wait for them."""
        self._stopping.set()
        self.plane.wake.set()
        for thread in self._threads:
            thread.join(timeout_s)

    def _reconcile(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            pause_s = self.reconcile_s
            self.plane.wake.clear()
            try:
                look = reconcile_once(self.plane)
                failures = 0
                if look is not None:
                    until = (look - self.plane.clock.now()).total_seconds()
                    pause_s = min(pause_s, max(until, 0.0))
            except Exception as error:  # noqa: BLE001
                # A loop survives any error: it is recorded, and the next pass starts from stored state.
                failures += 1
                pause_s = min(FAILURE_PAUSE_S * 2 ** (failures - 1), FAILURE_PAUSE_S_MAX)
                _report("reconcile_failed", error, failures)
            self.plane.wake.wait(pause_s)

    def _measure(self) -> None:
        meter = Meter(plane=self.plane, kept=self.kept)
        failures = 0
        while not self._stopping.wait(self.scrape_s):
            try:
                meter.read_once()
                failures = 0
            except Exception as error:  # noqa: BLE001 — as above
                failures += 1
                _report("measure_failed", error, failures)

    def _judge(self) -> None:
        judge = Judge(plane=self.plane)
        failures = 0
        while not self._stopping.wait(JUDGE_S):
            try:
                judge.tick()
                failures = 0
            except Exception as error:  # noqa: BLE001 — as above
                failures += 1
                _report("judge_failed", error, failures)
                self._stopping.wait(FAILURE_PAUSE_S)

    def _scale(self) -> None:
        autoscaler = Autoscaler(plane=self.plane)
        failures = 0
        while not self._stopping.wait(self.scrape_s):
            try:
                autoscaler.tick()
                failures = 0
            except Exception as error:  # noqa: BLE001 — as above
                failures += 1
                _report("scale_failed", error, failures)


def _report(event: str, error: Exception, failures: int) -> None:
    if isinstance(error, PlatformError):
        log.warning(event, error=error.message, hint=error.hint, failures=failures)
    else:
        log.error(event, error=repr(error), failures=failures, exc_info=error)
