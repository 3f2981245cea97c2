"""Thresholds of slow: from the baseline, the SLO and a floor."""

from prometheus_ai.analysis.slowness import edge_ms, slow_levels
from prometheus_ai.domain.window import Histogram, bucket_index


def quick(requests: int = 1000, latency_s: float = 0.002) -> Histogram:
    return Histogram(
        count=requests, sum=requests * latency_s, buckets={bucket_index(latency_s): requests}
    )


def test_thresholds_come_from_the_baseline() -> None:
    assert all(edge_ms(level) < 20 for level in slow_levels(quick()))


def test_no_threshold_is_below_the_floor() -> None:
    levels = slow_levels(quick(), slo_s=0.005, floor_s=0.025)
    assert levels
    assert all(edge_ms(level) >= 25 for level in levels)
