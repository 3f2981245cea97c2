"""How others scale, to compare with: Knative's pod autoscaler and the Kubernetes horizontal one.

Both are written from their published algorithms with their default settings; sources are in
docs/concepts/autoscaling.md. Both are given the same demand, measured where it queues, which is better than
what they have in a cluster.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from prometheus_ai.simulate.fleet import Reading

_KNATIVE_TICK_S = 2.0
_HPA_SYNC_S = 15.0


@dataclass(kw_only=True)
class Knative:
    """Knative's KPA: mean concurrency over 60 s and 6 s, panic at twice the capacity, tick of 2 s."""

    concurrency: float
    replicas_min: int = 1
    replicas_max: int = 1000
    utilisation: float = 0.7
    stable_s: float = 60.0
    panic_s: float = 6.0
    panic_threshold: float = 2.0
    up_rate: float = 1000.0
    down_rate: float = 2.0
    _samples: deque[tuple[float, float]] = field(default_factory=deque)
    _panic_at: float | None = None
    _panic_most: int = 0
    _next_s: float = 0.0
    _wanted: int | None = None

    def decide(self, reading: Reading) -> int:
        """Return what the algorithm wants at this tick."""
        now_s = reading.at_s
        if self._wanted is None and reading.replicas > 1:
            # Starting among replicas, it begins in panic, so that lost history shrinks nothing.
            self._panic_at, self._panic_most = now_s, reading.replicas
        self._samples.append((now_s, reading.active + reading.pending))
        while self._samples[0][0] <= now_s - self.stable_s:
            self._samples.popleft()
        if self._wanted is not None and now_s < self._next_s:
            return self._wanted
        self._next_s = now_s + _KNATIVE_TICK_S
        goal = max(0.01, self.concurrency * self.utilisation)
        ready = max(1, reading.ready)
        stable = self._clipped(self._mean(self.stable_s, now_s) / goal, ready)
        raw_panic = math.ceil(self._mean(self.panic_s, now_s) / goal)
        panic = self._clipped(self._mean(self.panic_s, now_s) / goal, ready)
        over = raw_panic / ready >= self.panic_threshold
        if over:
            self._panic_at = now_s
        elif self._panic_at is not None and self._panic_at + self.stable_s < now_s:
            self._panic_at, self._panic_most = None, 0
        wanted = stable
        if self._panic_at is not None:
            self._panic_most = max(self._panic_most, stable, panic)
            wanted = self._panic_most
        self._wanted = min(max(wanted, self.replicas_min), self.replicas_max)
        return self._wanted

    def _mean(self, span_s: float, now_s: float) -> float:
        inside = [value for at_s, value in self._samples if at_s > now_s - span_s]
        return sum(inside) / len(inside) if inside else 0.0

    def _clipped(self, raw: float, ready: int) -> int:
        highest = math.ceil(self.up_rate * ready)
        lowest = math.floor(ready / self.down_rate)
        return min(max(math.ceil(raw), lowest), highest)


@dataclass(kw_only=True)
class Hpa:
    """The Kubernetes HPA on an average value: sync of 15 s, tolerance 10 %, 300 s of stabilisation downwards."""

    concurrency: float
    replicas_min: int = 1
    replicas_max: int = 1000
    utilisation: float = 0.7
    tolerance: float = 0.1
    down_window_s: float = 300.0
    _samples: deque[float] = field(default_factory=lambda: deque(maxlen=15))
    _recommended: deque[tuple[float, int]] = field(default_factory=deque)
    _next_s: float = 0.0
    _wanted: int | None = None

    def decide(self, reading: Reading) -> int:
        """Return what the algorithm wants at this tick."""
        now_s, current = reading.at_s, max(1, reading.replicas)
        self._samples.append(reading.active + reading.pending)
        if self._wanted is None:
            self._recommended.append((now_s, reading.replicas))
        if self._wanted is not None and now_s < self._next_s:
            return self._wanted
        self._next_s = now_s + _HPA_SYNC_S
        goal = self.concurrency * self.utilisation
        total = sum(self._samples) / len(self._samples)
        ratio = total / (goal * current)
        raw = current if abs(1 - ratio) <= self.tolerance else math.ceil(total / goal)
        self._recommended.append((now_s, raw))
        while self._recommended[0][0] <= now_s - self.down_window_s:
            self._recommended.popleft()
        wanted = raw
        if raw < current:
            wanted = min(current, max(value for _, value in self._recommended))
        # Default policies: up by 4 replicas or 100 %, whichever is more, within 15 s; down by 100 %.
        wanted = min(wanted, max(current + 4, 2 * current))
        self._wanted = min(max(wanted, self.replicas_min), self.replicas_max)
        return self._wanted
