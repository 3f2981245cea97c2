"""From readings to windows, and from windows to summaries."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.domain.window import (
    CounterSnapshot,
    Histogram,
    ReleaseCounters,
    Window,
    bucket_index,
)
from prometheus_ai.telemetry import merge_windows, summarize, windows_between

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(seconds=2)


def _counters(requests: int, errors: int = 0, version: str = "v1") -> ReleaseCounters:
    answered = requests - errors
    return ReleaseCounters(
        backend="digits",
        version=version,
        requests=requests,
        errors=errors,
        client_errors=0,
        rejected=0,
        retries=0,
        active=0,
        pending=0,
        latency_s=Histogram(count=answered, sum=answered * 0.01, buckets={-212: answered}),
    )


def _snapshot(
    *releases: ReleaseCounters, epoch: str = "e1", at: datetime = LATER
) -> CounterSnapshot:
    return CounterSnapshot(epoch=epoch, at=at, releases=releases)


def test_a_window_is_the_difference_of_two_readings() -> None:
    before = _snapshot(_counters(10, 1), at=START)
    (window,) = windows_between(before, _snapshot(_counters(15, 3)))
    assert (window.requests, window.errors) == (5, 2)
    assert (window.start, window.end) == (START, LATER)
    assert (window.latency_s.count, dict(window.latency_s.buckets)) == (3, {-212: 3})


def test_a_release_seen_for_the_first_time_counts_from_zero() -> None:
    (window,) = windows_between(_snapshot(at=START), _snapshot(_counters(4)))
    assert window.requests == 4


def test_nothing_done_gives_no_window() -> None:
    assert windows_between(_snapshot(_counters(4), at=START), _snapshot(_counters(4))) == []


def test_a_release_that_is_gone_gives_no_window() -> None:
    assert windows_between(_snapshot(_counters(4), at=START), _snapshot()) == []


def test_a_new_epoch_counts_from_zero() -> None:
    before = _snapshot(_counters(10), at=START)
    (window,) = windows_between(before, _snapshot(_counters(12), epoch="e2"))
    assert window.requests == 12


def test_counters_that_shrink_within_an_epoch_give_no_window() -> None:
    before = _snapshot(_counters(10), _counters(5, version="v2"), at=START)
    windows = windows_between(before, _snapshot(_counters(3), _counters(6, version="v2")))
    assert [(window.version, window.requests) for window in windows] == [("v2", 1)]


def test_a_clock_that_steps_back_does_not_turn_a_window_round() -> None:
    earlier = START - timedelta(hours=1)
    before = _snapshot(_counters(1), at=START)
    (window,) = windows_between(before, _snapshot(_counters(2), at=earlier))
    assert window.start <= window.end


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=10))
def test_windows_add_up_to_the_whole(steps: list[int]) -> None:
    totals = [sum(steps[: end + 1]) for end in range(len(steps))]
    readings = [
        _snapshot(_counters(total), at=START + timedelta(seconds=number))
        for number, total in enumerate(totals)
    ]
    windows = [
        window for before, after in pairwise(readings) for window in windows_between(before, after)
    ]
    merged = merge_windows(windows)
    assert sum(window.requests for window in merged) == totals[-1] - totals[0]
    assert sum(window.latency_s.count for window in merged) == totals[-1] - totals[0]


def test_merging_keeps_releases_apart() -> None:
    one = Window(backend="digits", version="v1", start=START, end=LATER, requests=1)
    two = replace(one, version="v2", requests=2)
    later = replace(one, start=LATER, end=LATER + timedelta(seconds=2), requests=3)
    merged = merge_windows([two, one, later])
    assert [(window.version, window.requests) for window in merged] == [("v1", 4), ("v2", 2)]
    assert merged[0].end == later.end


def _window(count: int, latency_s: float = 0.01) -> Window:
    buckets = {bucket_index(latency_s): count} if count else {}
    latency = Histogram(count=count, sum=count * latency_s, buckets=buckets)
    return Window(
        backend="digits",
        version="v1",
        start=START,
        end=START + timedelta(seconds=10),
        requests=count,
        latency_s=latency,
    )


def test_percentiles_need_enough_requests() -> None:
    shown = [
        [value is not None for value in (whole.p50_ms, whole.p95_ms, whole.p99_ms)]
        for whole in (summarize([_window(count)]) for count in (0, 1, 59, 60, 299, 300))
    ]
    assert shown == [
        [False, False, False],
        [True, False, False],
        [True, False, False],
        [True, True, False],
        [True, True, False],
        [True, True, True],
    ]


def test_percentiles_come_from_merged_counts_not_from_averages() -> None:
    whole = summarize([_window(990, 0.01), _window(10, 1.0)])
    assert whole.p99_ms is not None
    assert whole.p99_ms < 11
    slow = summarize([_window(980, 0.01), _window(20, 1.0)])
    assert slow.p99_ms is not None
    assert slow.p99_ms > 900


def test_a_summary_says_rates_over_its_span() -> None:
    whole = summarize([replace(_window(50), errors=5)])
    assert whole.error_rate == 0.1
    assert whole.rate_per_s == 5.0
    nothing = summarize([])
    assert nothing.error_rate is None
    assert nothing.rate_per_s == 0.0
