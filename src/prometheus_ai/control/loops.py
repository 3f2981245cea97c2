"""The loops of the control plane: each a thread with an owner, a bounded wait and a way to stop."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from prometheus_ai.control.answers.listen import Listener
from prometheus_ai.control.autoscale.tick import Autoscaler
from prometheus_ai.control.gates.review import Reviewer
from prometheus_ai.control.loop.measure import Meter
from prometheus_ai.control.loop.passes import reconcile_once
from prometheus_ai.control.past.watch import PastWatch
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollouts.own_metrics import OwnMetrics
from prometheus_ai.control.rollouts.replay import Replayer
from prometheus_ai.control.rollouts.tick import Judge
from prometheus_ai.domain.errors import PlatformError

log = structlog.get_logger()

JUDGE_S = 0.5
"""Pause between two looks at rollouts under way: a tripwire acts within two seconds."""
LISTEN_S = 1.0
REPLAY_S = 0.5
PAST_S = 10.0
REVIEW_S = 5.0
"""Pause between two looks at whether policy, advisories or time speak against what runs."""
FAILURE_PAUSE_S = 1.0
FAILURE_PAUSE_S_MAX = 30.0


@dataclass(kw_only=True)
class Loops:
    """Runs the loops until stopped: reconcile, measure, judge, scale, and waking what requests wait for."""

    plane: Plane
    reconcile_s: float
    scrape_s: float
    kept: timedelta
    """How long measurements and records of ended replicas are kept."""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _wakers: list[threading.Event] = field(default_factory=list)

    def start(self) -> None:
        """Start the loops."""
        meter = Meter(plane=self.plane, kept=self.kept)
        judge = Judge(plane=self.plane)
        autoscaler = Autoscaler(plane=self.plane)
        reviewer = Reviewer(plane=self.plane)
        listener = Listener(plane=self.plane, kept=self.kept)
        past = PastWatch(plane=self.plane)
        own_metrics = OwnMetrics(plane=self.plane)
        replayer = Replayer(plane=self.plane)
        for name, step, woken in (
            ("reconcile", self._reconcile, self.plane.wake),
            ("measure", _every(self.scrape_s, meter.read_once), threading.Event()),
            ("judge", _every(JUDGE_S, judge.tick), threading.Event()),
            ("scale", _every(self.scrape_s, autoscaler.tick), threading.Event()),
            ("ask", _every(self.scrape_s, autoscaler.asking.tick), threading.Event()),
            ("review", _every(REVIEW_S, reviewer.tick), threading.Event()),
            ("past", _every(PAST_S, past.tick), threading.Event()),
            ("listen", _every(LISTEN_S, listener.tick), threading.Event()),
            ("replay", _every(REPLAY_S, replayer.tick), threading.Event()),
            ("own_metrics", _every(LISTEN_S, own_metrics.tick), threading.Event()),
            ("activate", autoscaler.await_requests, threading.Event()),
        ):
            thread = threading.Thread(
                target=self._repeat, args=(name, step, woken), name=name, daemon=True
            )
            thread.start()
            self._threads.append(thread)
            self._wakers.append(woken)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Ask the loops to end, and wait for them."""
        self._stopping.set()
        for waker in self._wakers:
            waker.set()
        if self.plane.activator is not None:
            self.plane.activator.interrupt()
        for thread in self._threads:
            thread.join(timeout_s)

    def _repeat(self, name: str, step: Callable[[], float], woken: threading.Event) -> None:
        """Take steps until stopped; each says how long to pause unless woken."""
        failures = 0
        while not self._stopping.is_set():
            woken.clear()
            try:
                pause_s = step()
                failures = 0
            except Exception as error:  # noqa: BLE001
                # A loop survives any error: it is recorded, and the next step starts from stored state.
                failures += 1
                pause_s = min(FAILURE_PAUSE_S * 2 ** (failures - 1), FAILURE_PAUSE_S_MAX)
                _report(f"{name}_failed", error, failures)
            if not self._stopping.is_set():
                woken.wait(pause_s)

    def _reconcile(self) -> float:
        look = reconcile_once(self.plane)
        if look is None:
            return self.reconcile_s
        until = (look - self.plane.clock.now()).total_seconds()
        return min(self.reconcile_s, max(until, 0.0))


def _every(seconds: float, step: Callable[[], None]) -> Callable[[], float]:
    """Return a step that is taken every so many seconds."""

    def taken() -> float:
        step()
        return seconds

    return taken


def _report(event: str, error: Exception, failures: int) -> None:
    if isinstance(error, PlatformError):
        log.warning(event, error=error.message, hint=error.hint, failures=failures)
    else:
        log.error(event, error=repr(error), failures=failures, exc_info=error)
