"""How long a replica takes: for a batch, from start to ready, and what it costs."""

import math
import random
from bisect import bisect_right
from dataclasses import dataclass

from prometheus_ai.domain.errors import InvalidInput


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceProfile:
    """One replica, as measured."""

    curve: tuple[tuple[int, float], ...]
    """Rows in a batch and seconds of the engine for it, growing; between points it is a straight line."""
    rows_max: int = 1
    """Most requests in one batch."""
    overhead_s: float = 0.0
    """Gateway and parsing: added to each request, and not a wait for the engine."""
    jitter: float = 0.1
    """Standard deviation of the logarithm of a batch's time."""
    start_s: float = 5.0
    """From start to ready."""
    start_jitter: float = 0.1
    queue_max: int = 1024
    """Requests that may wait in one replica; beyond it they are turned away."""

    def __post_init__(self) -> None:
        """Check the curve.

        Raises:
            InvalidInput: it has no points, or they do not grow.
        """
        rows = [point[0] for point in self.curve]
        if not rows or rows != sorted(set(rows)) or any(time <= 0 for _, time in self.curve):
            raise InvalidInput(
                f"a service curve needs growing rows with positive seconds, not {self.curve}"
            )

    def table(self) -> tuple[float, ...]:
        """Return the seconds of a batch by its rows, from 0 to ``rows_max``."""
        return tuple(self._seconds(rows) for rows in range(self.rows_max + 1))

    def jitters(self, chance: random.Random, count: int = 4096) -> tuple[float, ...]:
        """Return factors of mean 1 to multiply batch times with, drawn once."""
        middle = -(self.jitter**2) / 2
        return tuple(math.exp(chance.gauss(middle, self.jitter)) for _ in range(count))

    def concurrency(self, slo_s: float) -> float:
        """Return how many requests a replica may hold at once so that the last still meets the objective."""
        table = self.table()
        best = 1
        for held in range(1, 4 * self.rows_max + 1):
            whole, rest = divmod(held, self.rows_max)
            wait_s = whole * table[self.rows_max] + (table[rest] if rest else 0.0)
            if wait_s + self.overhead_s <= slo_s / 2:
                best = held
        return float(best)

    def rate_within(self, slo_s: float) -> float:
        """Return the most requests a second of one replica in batches that leave room for a wait as long."""
        table = self.table()
        fitting = [rows for rows in range(1, self.rows_max + 1) if 2 * table[rows] <= slo_s] or [1]
        return max(rows / table[rows] for rows in fitting)

    def _seconds(self, rows: int) -> float:
        index = bisect_right(self.curve, (rows, math.inf))
        if index == 0:
            return self.curve[0][1]
        if index == len(self.curve):
            if len(self.curve) == 1:
                return self.curve[0][1]
            index -= 1
        (low, low_s), (high, high_s) = self.curve[index - 1], self.curve[index]
        return low_s + (high_s - low_s) * (rows - low) / (high - low)
