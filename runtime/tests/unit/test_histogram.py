"""Exponential histograms, schema 5."""

import math

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from prometheus_ai_runtime.watch.histogram import Histogram

seconds = st.floats(1e-9, 1e6)


def bucket_by_definition(value: float) -> int:
    """The i with 2^((i-1)/32) < value <= 2^(i/32), searched rather than computed."""
    index = round(math.log2(value) * 32)
    while value > 2.0 ** (index / 32):
        index += 1
    while value <= 2.0 ** ((index - 1) / 32):
        index -= 1
    return index


@given(values=st.lists(seconds, max_size=200))
def test_every_value_is_in_the_bucket_of_its_definition(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    state = histogram.as_json()
    expected: dict[str, int] = {}
    for value in values:
        key = str(bucket_by_definition(value))
        expected[key] = expected.get(key, 0) + 1
    assert state["buckets"] == expected
    assert state["count"] == len(values)
    assert math.isclose(state["sum"], sum(values), rel_tol=1e-9, abs_tol=1e-12)


@given(power=st.integers(-20, 10))
def test_an_exact_power_of_two_is_the_top_of_its_bucket(power: int) -> None:
    histogram = Histogram()
    histogram.record(2.0**power)
    assert histogram.as_json()["buckets"] == {str(32 * power): 1}


@given(left=st.lists(seconds), right=st.lists(seconds))
def test_buckets_add_up_to_what_one_histogram_would_hold(
    left: list[float], right: list[float]
) -> None:
    parts, whole = [Histogram(), Histogram()], Histogram()
    for part, values in zip(parts, (left, right), strict=True):
        for value in values:
            part.record(value)
            whole.record(value)
    merged: dict[str, int] = {}
    for part in parts:
        for key, n in part.as_json()["buckets"].items():
            merged[key] = merged.get(key, 0) + n
    assert merged == whole.as_json()["buckets"]


def test_zero_and_below_are_counted_apart() -> None:
    histogram = Histogram()
    for value in (0.0, -1e-9, 1.0):
        histogram.record(value)
    state = histogram.as_json()
    assert (state["zero_count"], state["count"], state["buckets"]) == (2, 3, {"0": 1})


@given(values=st.lists(seconds, min_size=1))
def test_cumulative_counts_are_exact_at_bucket_bounds(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    bounds = [2.0**n for n in range(-30, 21)]
    expected = [int(np.sum(np.array(values) <= bound)) for bound in bounds]
    assert histogram.at_most(bounds) == expected


def test_pending_values_are_folded_before_they_are_many() -> None:
    histogram = Histogram()
    for _ in range(10_000):
        histogram.record(0.5)
        histogram.trim()
    assert len(histogram.pending) < 4096
    assert histogram.as_json()["count"] == 10_000
