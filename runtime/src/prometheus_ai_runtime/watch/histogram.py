"""Base-2 exponential histograms, schema 5: bucket i holds (2^((i-1)/32), 2^(i/32)]."""

from typing import Any

import numpy as np

SCHEMA = 5
_PENDING_MAX = 4096


class Histogram:
    """Values in seconds; ``record`` is a list append, the arithmetic waits for a batch of values."""

    __slots__ = ("buckets", "count", "pending", "record", "sum", "zero_count")

    def __init__(self) -> None:
        self.pending: list[float] = []
        self.record = self.pending.append
        self.buckets: dict[int, int] = {}
        self.zero_count = 0
        self.count = 0
        self.sum = 0.0

    def trim(self) -> None:
        """Fold the pending values in once there are enough of them to make it cheap."""
        if len(self.pending) >= _PENDING_MAX:
            self.fold()

    def fold(self) -> None:
        """Bring the buckets up to date with everything recorded."""
        if not self.pending:
            return
        values = np.array(self.pending, dtype=np.float64)
        self.pending.clear()
        positive = values[values > 0.0]
        self.count += len(values)
        self.sum += float(positive.sum())
        self.zero_count += len(values) - len(positive)
        indexes = np.ceil(np.log2(positive) * (1 << SCHEMA)).astype(np.int64)
        for index, n in zip(*np.unique(indexes, return_counts=True), strict=True):
            key = int(index)
            self.buckets[key] = self.buckets.get(key, 0) + int(n)

    def as_json(self) -> dict[str, Any]:
        """The exact state, in the wire page's form."""
        self.fold()
        return {
            "schema": SCHEMA,
            "zero_count": self.zero_count,
            "count": self.count,
            "sum": self.sum,
            "buckets": {str(i): self.buckets[i] for i in sorted(self.buckets)},
        }

    def at_most(self, bounds: list[float]) -> list[int]:
        """How many values are at most each bound, exact to a bucket's width (2.2 %)."""
        self.fold()
        indexes = sorted(self.buckets)
        out = []
        for bound in bounds:
            last = int(np.floor(np.log2(bound) * (1 << SCHEMA)))
            out.append(self.zero_count + sum(self.buckets[i] for i in indexes if i <= last))
        return out
