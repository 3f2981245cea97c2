"""Latency as counts: slow requests above thresholds fixed before a rollout, and percentiles against the past.

Thresholds are bucket edges, so counts are exact and mergeable. Against the past a release is compared at the
same hour of the week, as other hours bring other requests; that informs people and never judges by itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import NormalDist

from prometheus_ai.domain.window import Histogram, bucket_index, bucket_upper

P95_SAMPLES_MIN = 60
P99_SAMPLES_MIN = 300
_FAR_BUCKETS = 16
"""Half an octave: a threshold 1.41 times beyond p99 sees a small, very slow path soonest."""
PERCENTILE_SAMPLES_MIN = {0.95: 500, 0.99: 1000}
"""Fewer on either side say nothing about a percentile's change."""
RATIO_MIN = {0.95: 1.10, 0.99: 1.20}
"""Smaller changes are no regression, however certain."""
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, kw_only=True, slots=True)
class Regression:
    """How a percentile compares with a baseline."""

    quantile: float
    now_ms: float
    before_ms: float
    ratio_low: float
    """The lower end of a cautious interval of the ratio."""
    ratio_high: float
    is_regression: bool


def slow_levels(
    baseline: Histogram, slo_s: float | None = None, floor_s: float = 0.0
) -> tuple[int, ...]:
    """Return bucket indices whose upper edges are the thresholds: SLO, p95, p99 and far beyond, as samples allow.

    None is below ``floor_s``.
    """
    levels: set[int] = set()
    if slo_s is not None:
        levels.add(bucket_index(slo_s))
    if baseline.count >= P95_SAMPLES_MIN:
        levels.add(_bucket_of(baseline, 0.95))
    if baseline.count >= P99_SAMPLES_MIN:
        p99 = _bucket_of(baseline, 0.99)
        levels |= {p99, p99 + _FAR_BUCKETS}
    if floor_s > 0:
        levels = {max(level, bucket_index(floor_s)) for level in levels}
    return tuple(sorted(levels))


def count_slower(latency: Histogram, levels: Sequence[int]) -> tuple[int, ...]:
    """Return how many values lie above the upper edge of each level."""
    return tuple(
        sum(count for index, count in latency.buckets.items() if index > level) for level in levels
    )


def edge_ms(level: int) -> float:
    """Return the threshold of a level in milliseconds."""
    return bucket_upper(level) * 1000


def hour_of_week(at: datetime) -> int:
    """Return 0 for the hour from Monday midnight UTC, up to 167."""
    utc = at.astimezone(UTC)
    return utc.weekday() * 24 + utc.hour


def regression(now: Histogram, before: Histogram, quantile: float = 0.95) -> Regression | None:
    """Compare a percentile with that of a baseline; None where too few requests stand behind either.

    Each side's 95 % interval spans the ranks n·q ± 1.96·sqrt(n·q·(1-q)); the interval of the ratio is that
    of their ends, which is wider than it has to be.
    """
    fewest = PERCENTILE_SAMPLES_MIN.get(quantile, 1000)
    if min(now.count, before.count) < fewest:
        return None
    now_value, before_value = now.quantile(quantile), before.quantile(quantile)
    assert now_value is not None
    assert before_value is not None
    if before_value <= 0:
        return None
    now_low, now_high = _interval(now, quantile)
    before_low, before_high = _interval(before, quantile)
    low = now_low / before_high if before_high > 0 else 0.0
    high = now_high / before_low if before_low > 0 else math.inf
    return Regression(
        quantile=quantile,
        now_ms=now_value * 1000,
        before_ms=before_value * 1000,
        ratio_low=low,
        ratio_high=high,
        is_regression=low > 1 and now_value / before_value >= RATIO_MIN.get(quantile, 1.2),
    )


def _bucket_of(latency: Histogram, q: float) -> int:
    rank = q * latency.count
    seen = float(latency.zero_count)
    for index in sorted(latency.buckets):
        seen += latency.buckets[index]
        if seen >= rank:
            return index
    return max(latency.buckets, default=0)


def _interval(latency: Histogram, quantile: float) -> tuple[float, float]:
    spread = _Z * math.sqrt(latency.count * quantile * (1 - quantile))
    middle = latency.count * quantile
    return (
        _at_rank(latency, middle - spread, is_upper=False),
        _at_rank(latency, middle + spread, is_upper=True),
    )


def _at_rank(latency: Histogram, rank: float, *, is_upper: bool) -> float:
    """Return the edge of the bucket that a rank falls in, on the cautious side."""
    seen = float(latency.zero_count)
    if rank <= seen:
        return 0.0
    for index in sorted(latency.buckets):
        seen += latency.buckets[index]
        if rank <= seen:
            return bucket_upper(index if is_upper else index - 1)
    return bucket_upper(max(latency.buckets))
