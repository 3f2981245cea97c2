"""One release on a virtual clock: arrivals, replicas with batches, starts, drains and a scaler's ticks."""

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_ai.simulate.service import ServiceProfile
from prometheus_ai.simulate.trace import Trace

_DONE, _READY, _TICK = 0, 1, 2
_AFTERMATH_S = 120.0
"""How long after the last arrival answers are waited for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a scaler sees at a tick."""

    at_s: float
    active: float
    """Mean since the tick before."""
    pending: float
    replicas: int
    ready: int
    arrivals_per_s: float
    cpu_percent: float
    recent_s: Sequence[float]
    """Latencies of requests answered since the tick before."""


class Scaler(Protocol):
    """Decides how many replicas to want at each tick."""

    def decide(self, reading: Reading) -> int:
        """Return the replicas to want."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """What a simulation came to."""

    latencies_s: tuple[float, ...]
    """Sorted."""
    arrived: int
    rejected: int
    unanswered: int
    held: int
    """Requests that found no ready replica and waited for one."""
    starts: int
    replica_s: float
    replicas_max: int
    timeline: tuple[tuple[float, int, float], ...]
    """By tick: seconds, replicas, mean requests in flight."""


@dataclass(slots=True, eq=False)
class _Replica:
    born_s: float
    is_ready: bool = False
    is_draining: bool = False
    is_gone: bool = False
    held: int = 0
    queue: deque[float] | None = None
    batch: list[float] | None = None


@dataclass(kw_only=True, frozen=True, slots=True)
class Limits:
    """How a simulation is run."""

    replicas: int = 1
    """Ready from the start."""
    tick_s: float = 1.0
    held_max: int = 10_000
    """Requests that may wait for a first replica."""
    seed: int = 0


def simulate(trace: Trace, profile: ServiceProfile, scaler: Scaler, limits: Limits) -> Ran:
    """Run a trace to its end and return what happened. The same arguments give the same result."""
    return _Fleet(profile, scaler, limits).run(trace)


class _Fleet:
    """The running state; one event loop, kept tight."""

    def __init__(self, profile: ServiceProfile, scaler: Scaler, limits: Limits) -> None:
        self._profile, self._scaler, self._limits = profile, scaler, limits
        self._chance = random.Random(limits.seed)
        self._table = profile.table()
        self._jitters = profile.jitters(self._chance)
        self._draws = 0
        self._events: list[tuple[float, int, int, _Replica | None]] = []
        self._sequence = 0
        self._ready: list[_Replica] = []
        self._starting: list[_Replica] = []
        self._draining: list[_Replica] = []
        self._pending: deque[float] = deque()
        self._latencies: list[float] = []
        self._recent: list[float] = []
        self._timeline: list[tuple[float, int, float]] = []
        self._in_flight = self._busy = 0
        self._active_area = self._pending_area = self._busy_area = self._ready_area = 0.0
        self._last_s = 0.0
        self._rejected = self._held = self._starts = self._most = 0
        self._replica_s = 0.0
        self._came = 0

    def run(self, trace: Trace) -> Ran:
        for _ in range(self._limits.replicas):
            self._ready.append(_Replica(born_s=0.0, is_ready=True, queue=deque()))
        self._most = self._limits.replicas
        self._push(self._limits.tick_s, _TICK, None)
        arrivals, count, index = trace.arrivals, len(trace.arrivals), 0
        events = self._events
        end_s = trace.duration_s + _AFTERMATH_S
        while events:
            next_s = events[0][0]
            if index < count and arrivals[index] <= next_s:
                self._elapse(arrivals[index])
                self._arrive(arrivals[index])
                index += 1
                continue
            at_s, _, kind, replica = heapq.heappop(events)
            if at_s > end_s or (index >= count and not self._in_flight and at_s > trace.duration_s):
                break
            self._elapse(at_s)
            if kind == _DONE:
                assert replica is not None
                self._finish(replica, at_s)
            elif kind == _TICK:
                self._tick(at_s, trace.duration_s)
            elif replica is not None and not replica.is_gone:
                self._become_ready(replica, at_s)
        return self._result(trace)

    def _elapse(self, now_s: float) -> None:
        span_s = now_s - self._last_s
        pending = len(self._pending)
        self._active_area += (self._in_flight - pending) * span_s
        self._pending_area += pending * span_s
        self._busy_area += self._busy * span_s
        self._ready_area += len(self._ready) * span_s
        self._last_s = now_s

    def _arrive(self, now_s: float) -> None:
        self._came += 1
        ready = self._ready
        if not ready:
            if len(self._pending) >= self._limits.held_max:
                self._rejected += 1
                return
            self._held += 1
            self._in_flight += 1
            self._pending.append(now_s)
            return
        replica = ready[0]
        if len(ready) > 1:
            # The better of two, as the gateway's least-request balancing does it.
            draw = self._chance.random
            replica = ready[int(draw() * len(ready))]
            other = ready[int(draw() * len(ready))]
            if other.held < replica.held:
                replica = other
        if replica.held >= self._profile.queue_max:
            self._rejected += 1
            return
        self._in_flight += 1
        self._accept(replica, now_s, now_s)

    def _accept(self, replica: _Replica, arrived_s: float, now_s: float) -> None:
        assert replica.queue is not None
        replica.held += 1
        replica.queue.append(arrived_s)
        if replica.batch is None:
            self._begin(replica, now_s)

    def _begin(self, replica: _Replica, now_s: float) -> None:
        queue = replica.queue
        assert queue is not None
        rows = min(len(queue), self._profile.rows_max)
        replica.batch = [queue.popleft() for _ in range(rows)]
        self._draws = (self._draws + 1) % len(self._jitters)
        self._busy += 1
        self._push(now_s + self._table[rows] * self._jitters[self._draws], _DONE, replica)

    def _finish(self, replica: _Replica, now_s: float) -> None:
        batch = replica.batch
        assert batch is not None
        overhead_s = self._profile.overhead_s
        answered = [now_s - arrived_s + overhead_s for arrived_s in batch]
        self._latencies.extend(answered)
        self._recent.extend(answered)
        replica.held -= len(batch)
        self._in_flight -= len(batch)
        self._busy -= 1
        replica.batch = None
        if replica.queue:
            self._begin(replica, now_s)
        elif replica.is_draining:
            self._draining.remove(replica)
            self._end(replica, now_s)

    def _tick(self, now_s: float, duration_s: float) -> None:
        tick_s = self._limits.tick_s
        replicas = len(self._ready) + len(self._starting)
        active, pending = self._active_area / tick_s, self._pending_area / tick_s
        reading = Reading(
            at_s=now_s, active=active, pending=pending, replicas=replicas, ready=len(self._ready),
            arrivals_per_s=self._came / tick_s,
            cpu_percent=100 * self._busy_area / self._ready_area if self._ready_area else 0.0,
            recent_s=self._recent,
        )  # fmt: skip
        wanted = self._scaler.decide(reading)
        self._timeline.append((now_s, replicas, active + pending))
        self._active_area = self._pending_area = self._busy_area = self._ready_area = 0.0
        self._recent = []
        self._came = 0
        if now_s <= duration_s:
            self._scale(wanted - replicas, now_s)
        self._push(now_s + tick_s, _TICK, None)

    def _scale(self, change: int, now_s: float) -> None:
        for _ in range(change):
            replica = _Replica(born_s=now_s, queue=deque())
            spread = self._profile.start_jitter
            start_s = self._profile.start_s * self._chance.lognormvariate(-(spread**2) / 2, spread)
            self._starting.append(replica)
            self._starts += 1
            self._push(now_s + start_s, _READY, replica)
        for _ in range(-change):
            self._remove_one(now_s)
        self._most = max(self._most, len(self._ready) + len(self._starting))

    def _remove_one(self, now_s: float) -> None:
        """Take away the least useful: one that starts, else the idlest; it finishes what it has."""
        if self._starting:
            replica = self._starting.pop()
            self._end(replica, now_s)
            return
        replica = min(self._ready, key=lambda one: one.held)
        self._ready.remove(replica)
        if replica.held:
            replica.is_draining = True
            self._draining.append(replica)
        else:
            self._end(replica, now_s)

    def _become_ready(self, replica: _Replica, now_s: float) -> None:
        self._starting.remove(replica)
        replica.is_ready = True
        self._ready.append(replica)
        while self._pending:
            idlest = min(self._ready, key=lambda one: one.held)
            if idlest.held >= self._profile.queue_max:
                break
            self._accept(idlest, self._pending.popleft(), now_s)

    def _end(self, replica: _Replica, now_s: float) -> None:
        replica.is_gone = True
        self._replica_s += now_s - replica.born_s

    def _push(self, at_s: float, kind: int, replica: _Replica | None) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (at_s, self._sequence, kind, replica))

    def _result(self, trace: Trace) -> Ran:
        alive = [*self._ready, *self._starting, *self._draining]
        # What runs after the trace is nobody's cost: every scaler is charged up to its end.
        end_s = max(trace.duration_s, 0.0)
        living_s = sum(max(0.0, end_s - replica.born_s) for replica in alive)
        self._latencies.sort()
        return Ran(
            latencies_s=tuple(self._latencies), arrived=len(trace.arrivals),
            rejected=self._rejected, unanswered=self._in_flight, held=self._held,
            starts=self._starts, replica_s=self._replica_s + living_s,
            replicas_max=self._most, timeline=tuple(self._timeline),
        )  # fmt: skip
