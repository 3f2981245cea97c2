"""A release against its own past."""

from datetime import UTC, datetime

import numpy as np
import pytest

from prometheus_ai.analysis import (
    bars_of,
    hour_of_week,
    regression,
    requests_to_clear,
)
from prometheus_ai.domain.policy import GatesSpec
from prometheus_ai.domain.window import Histogram, bucket_index


def latency(seed: int, count: int, factor: float = 1.0) -> Histogram:
    values = np.random.default_rng(seed).lognormal(-4, 0.5, count) * factor
    buckets: dict[int, int] = {}
    for value in values.tolist():
        index = bucket_index(value)
        buckets[index] = buckets.get(index, 0) + 1
    return Histogram(count=count, sum=float(values.sum()), buckets=buckets)


@pytest.mark.parametrize(("factor", "is_regression"), [(1.0, False), (1.05, False), (1.3, True)])
def test_a_clear_and_large_rise_is_a_regression(factor: float, is_regression: bool) -> None:
    found = regression(latency(1, 20_000, factor), latency(2, 20_000))
    assert found is not None
    assert found.is_regression is is_regression
    assert found.ratio_low <= found.now_ms / found.before_ms <= found.ratio_high


def test_few_requests_say_nothing() -> None:
    assert regression(latency(1, 400, 3.0), latency(2, 20_000)) is None


def test_chance_is_rarely_called_a_regression() -> None:
    found = [regression(latency(seed, 600), latency(seed + 1000, 600)) for seed in range(100)]
    assert sum(one is not None and one.is_regression for one in found) <= 2


def test_hours_are_counted_from_monday() -> None:
    assert hour_of_week(datetime(2026, 1, 5, 0, 30, tzinfo=UTC)) == 0
    assert hour_of_week(datetime(2026, 1, 4, 23, 0, tzinfo=UTC)) == 167


def test_what_a_pass_takes_is_known_before_any_traffic() -> None:
    gates = GatesSpec()
    bars = bars_of(gates, "errors")
    common = requests_to_clear(0.05, 0.1, gates.errors, bars)
    rare = requests_to_clear(0.0, 0.1, gates.errors, bars)
    assert common is not None
    assert rare is not None
    assert 100 < common < 1000
    assert 500 < rare < 1500
