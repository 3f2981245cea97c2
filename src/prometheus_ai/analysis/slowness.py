"""Slow requests as counts: thresholds at bucket edges, fixed before a rollout, exact and mergeable."""

from collections.abc import Sequence

from prometheus_ai.domain.window import Histogram, bucket_index, bucket_upper

P95_SAMPLES_MIN = 60
P99_SAMPLES_MIN = 300
_FAR_BUCKETS = 16
"""Half an octave: a threshold 1.41 times beyond p99 sees a small, very slow path soonest."""


def slow_levels(baseline: Histogram, slo_s: float | None = None) -> tuple[int, ...]:
    """Return bucket indices whose upper edges are the thresholds: SLO, p95, p99 and far beyond, as samples allow."""
    levels: set[int] = set()
    if slo_s is not None:
        levels.add(bucket_index(slo_s))
    if baseline.count >= P95_SAMPLES_MIN:
        levels.add(_bucket_of(baseline, 0.95))
    if baseline.count >= P99_SAMPLES_MIN:
        p99 = _bucket_of(baseline, 0.99)
        levels |= {p99, p99 + _FAR_BUCKETS}
    return tuple(sorted(levels))


def count_slower(latency: Histogram, levels: Sequence[int]) -> tuple[int, ...]:
    """Return how many values lie above the upper edge of each level."""
    return tuple(
        sum(count for index, count in latency.buckets.items() if index > level) for level in levels
    )


def edge_ms(level: int) -> float:
    """Return the threshold of a level in milliseconds."""
    return bucket_upper(level) * 1000


def _bucket_of(latency: Histogram, q: float) -> int:
    rank = q * latency.count
    seen = float(latency.zero_count)
    for index in sorted(latency.buckets):
        seen += latency.buckets[index]
        if seen >= rank:
            return index
    return max(latency.buckets, default=0)
