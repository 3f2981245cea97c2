"""Measurements over a span of time, mergeable without loss."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

SCHEMA = 5
"""Base 2^(2^-5) = 1.0219: bucket ``i`` holds ``(2^((i-1)/32), 2^(i/32)]``; relative error at most 2.2 %.

The same buckets as OpenTelemetry exponential histograms of scale 5 and Prometheus native histograms.
"""

_PER_OCTAVE = 1 << SCHEMA


def bucket_index(value: float) -> int:
    """Return the bucket of a positive value."""
    return math.ceil(math.log2(value) * _PER_OCTAVE - 1e-9)


def bucket_upper(index: int) -> float:
    """Return the inclusive upper edge of a bucket."""
    return float(2.0 ** (index / _PER_OCTAVE))


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """An exponential histogram of schema 5 over non-negative values."""

    count: int = 0
    sum: float = 0.0
    zero_count: int = 0
    buckets: Mapping[int, int] = field(default_factory=dict)

    def merge(self, other: "Histogram") -> "Histogram":
        """Return the exact union of two histograms."""
        buckets = dict(self.buckets)
        for index, count in other.buckets.items():
            buckets[index] = buckets.get(index, 0) + count
        return Histogram(
            count=self.count + other.count,
            sum=self.sum + other.sum,
            zero_count=self.zero_count + other.zero_count,
            buckets=buckets,
        )

    def quantile(self, q: float) -> float | None:
        """Return the value at rank ``ceil(q * count)``, interpolated in its bucket; None when empty."""
        if self.count == 0:
            return None
        rank = max(1, math.ceil(q * self.count))
        seen = self.zero_count
        if rank <= seen:
            return 0.0
        for index in sorted(self.buckets):
            inside = self.buckets[index]
            if rank <= seen + inside:
                lower, upper = bucket_upper(index - 1), bucket_upper(index)
                return lower + (upper - lower) * (rank - seen) / inside
            seen += inside
        return bucket_upper(max(self.buckets))


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """What one release did over a span, as the gateway saw it."""

    backend: str
    version: str
    start: datetime
    end: datetime
    requests: int = 0
    """Answered or failed upstream, retries not counted twice."""
    errors: int = 0
    """5xx answers and broken connections."""
    client_errors: int = 0
    rejected: int = 0
    """Turned away by limits before reaching a replica."""
    retries: int = 0
    latency_s: Histogram = Histogram()

    def merge(self, other: "Window") -> "Window":
        """Return the window over both spans; counts add, nothing is averaged."""
        return Window(
            backend=self.backend,
            version=self.version,
            start=min(self.start, other.start),
            end=max(self.end, other.end),
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            client_errors=self.client_errors + other.client_errors,
            rejected=self.rejected + other.rejected,
            retries=self.retries + other.retries,
            latency_s=self.latency_s.merge(other.latency_s),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseCounters:
    """Cumulative counts of one release since the data plane's ``epoch``."""

    backend: str
    version: str
    requests: int
    errors: int
    client_errors: int
    rejected: int
    retries: int
    active: int
    pending: int
    latency_s: Histogram


@dataclass(frozen=True, kw_only=True, slots=True)
class CounterSnapshot:
    """One reading of every release's counters. Counters restart at zero when ``epoch`` changes."""

    epoch: str
    at: datetime
    releases: tuple[ReleaseCounters, ...]
