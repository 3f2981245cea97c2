"""From Envoy's statistics to counters that only grow."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.adapters.gateways.envoy.readings import (
    DEPARTED_MAX,
    CounterLedger,
    counters_by_release,
    latency_histogram,
)
from prometheus_ai.domain.window import Histogram, ReleaseCounters, bucket_index
from prometheus_ai.gateway.clusters import release_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = ("digits", "v1")

# Three classes of Envoy's buckets: whole milliseconds below 10 and 100, then tens.
TOTALS = st.dictionaries(
    st.sampled_from([(0, 0), (1, 0.1), (3, 0.1), (9, 0.1), (10, 1), (42, 1), (100, 10), (990, 10)]),
    st.integers(1, 500),
)


def _totals(drawn: dict[tuple[float, float], int]) -> list[dict[str, float]]:
    return [
        {"lower_bound": lower, "width": width, "count": count}
        for (lower, width), count in drawn.items()
    ]


@given(TOTALS)
def test_no_observation_is_lost_or_invented(drawn: dict[tuple[float, float], int]) -> None:
    histogram = latency_histogram(_totals(drawn))
    assert histogram.count == sum(drawn.values())
    assert sum(histogram.buckets.values()) + histogram.zero_count == histogram.count


@given(TOTALS, TOTALS)
def test_more_observations_never_make_a_bucket_smaller(
    drawn: dict[tuple[float, float], int], more: dict[tuple[float, float], int]
) -> None:
    before = latency_histogram(_totals(drawn))
    grown = {key: drawn.get(key, 0) + more.get(key, 0) for key in drawn.keys() | more.keys()}
    after = latency_histogram(_totals(grown))
    assert all(after.buckets.get(index, 0) >= count for index, count in before.buckets.items())


def test_a_whole_millisecond_is_spread_over_the_next_one() -> None:
    histogram = latency_histogram(_totals({(3, 0.1): 3200}))
    assert min(histogram.buckets) >= bucket_index(0.003)
    assert max(histogram.buckets) <= bucket_index(0.004)
    middle = histogram.quantile(0.5)
    assert middle is not None
    assert abs(middle - 0.0035) < 0.0001
    assert abs(histogram.sum / histogram.count - 0.0035) < 0.0001


def test_less_than_a_millisecond_is_no_zero() -> None:
    histogram = latency_histogram(_totals({(0, 0): 32}))
    assert histogram.zero_count == 0
    assert 0.0004 < (histogram.quantile(0.5) or 0) < 0.0006


def _stats(values: dict[str, int], totals: list[dict[str, float]] | None = None) -> Any:
    entries: list[Any] = [
        {"name": f"cluster.digits/v1.{name}", "value": value} for name, value in values.items()
    ]
    details = [{"name": "cluster.digits/v1.upstream_rq_time", "totals": totals or []}]
    return {"stats": [*entries, {"histograms": {"details": details}}]}


def test_what_the_gateway_turned_away_is_no_fault_of_the_release() -> None:
    stats = _stats(
        {
            "upstream_rq_completed": 100,
            "upstream_rq_5xx": 30,
            "upstream_rq_4xx": 5,
            "upstream_rq_pending_overflow": 20,
            "upstream_cx_none_healthy": 4,
        }
    )
    found = counters_by_release(stats, release_of)[KEY]
    assert (found.requests, found.errors, found.client_errors, found.rejected) == (76, 6, 5, 24)


def test_foreign_statistics_are_left_out() -> None:
    stats = {"stats": [{"name": "cluster.other.upstream_rq_5xx", "value": 1}]}
    assert counters_by_release(stats, release_of) == {}


def _counted(requests: int, active: int = 0, version: str = "v1") -> ReleaseCounters:
    return ReleaseCounters(
        backend=KEY[0],
        version=version,
        requests=requests,
        errors=0,
        client_errors=0,
        rejected=0,
        retries=0,
        active=active,
        pending=0,
        latency_s=Histogram(count=requests, sum=float(requests), buckets={0: requests}),
    )


def _requests(ledger: CounterLedger) -> dict[str, int]:
    return {found.version: found.requests for found in ledger.snapshot(NOW).releases}


def test_counts_outlive_their_cluster() -> None:
    ledger = CounterLedger()
    ledger.observe("e1", {KEY: _counted(5, active=2)})
    ledger.observe("e1", {})
    found = ledger.snapshot(NOW).releases[0]
    assert (found.requests, found.active) == (5, 0)


def test_a_cluster_made_again_goes_on_from_its_former_counts() -> None:
    ledger = CounterLedger()
    ledger.observe("e1", {KEY: _counted(5)})
    ledger.observe("e1", {})
    ledger.observe("e1", {}, revived=frozenset({KEY}))
    ledger.observe("e1", {KEY: _counted(7)})
    assert _requests(ledger) == {"v1": 12}
    assert ledger.snapshot(NOW).releases[0].latency_s.count == 12


def test_a_cluster_that_never_went_away_is_not_counted_twice() -> None:
    ledger = CounterLedger()
    ledger.observe("e1", {KEY: _counted(5)})
    ledger.observe("e1", {KEY: _counted(6)}, revived=frozenset({KEY}))
    assert _requests(ledger) == {"v1": 6}


def test_a_new_epoch_starts_at_zero() -> None:
    ledger = CounterLedger()
    ledger.observe("e1", {KEY: _counted(5)})
    ledger.observe("e2", {KEY: _counted(1)})
    assert ledger.snapshot(NOW).epoch == "e2"
    assert _requests(ledger) == {"v1": 1}


def test_what_is_kept_of_former_releases_is_bounded() -> None:
    ledger = CounterLedger()
    names = [f"v{number}" for number in range(DEPARTED_MAX + 50)]
    ledger.observe("e1", {("digits", name): _counted(1, version=name) for name in names[:-1]})
    ledger.observe("e1", {("digits", names[-1]): _counted(1, version=names[-1])})
    versions = _requests(ledger)
    assert len(versions) == DEPARTED_MAX + 1
    assert names[-1] in versions
    assert names[0] not in versions
