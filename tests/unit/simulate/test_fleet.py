"""The simulated fleet, against what queueing theory and arithmetic say."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.domain.window import Window
from prometheus_ai.simulate import (
    Fixed,
    Hpa,
    Knative,
    Limits,
    Objective,
    Ours,
    Ran,
    ServiceProfile,
    Trace,
    bursts,
    compare_scalers,
    diurnal,
    on_off,
    parse_trace,
    poisson,
    recorded,
    simulate,
    summarise,
)

SERIAL = ServiceProfile(curve=((1, 0.1),), jitter=0.0, start_s=4.0, start_jitter=0.0)
BATCHED = ServiceProfile(curve=((1, 0.02), (8, 0.05)), rows_max=8, start_s=4.0)


def run(trace: Trace, profile: ServiceProfile, replicas: int, **limits: object) -> Ran:
    given = Limits(replicas=replicas, **limits)  # type: ignore[arg-type]
    return simulate(trace, profile, Fixed(replicas=max(replicas, 1)), given)


def test_one_server_waits_as_pollaczek_and_khinchine_say() -> None:
    trace = poisson(6.0, 20_000, seed=1)
    ran = run(trace, SERIAL, 1)
    mean_s = sum(ran.latencies_s) / len(ran.latencies_s)
    used = 6.0 * 0.1
    assert mean_s == pytest.approx(0.1 + used * 0.1 / (2 * (1 - used)), rel=0.03)


def test_every_request_is_answered_or_counted() -> None:
    trace = poisson(30.0, 200, seed=2)
    ran = run(trace, SERIAL, 2)
    assert len(ran.latencies_s) + ran.rejected + ran.unanswered == ran.arrived


def test_batches_carry_more_than_single_requests_could() -> None:
    trace = poisson(100.0, 100, seed=3)
    ran = run(trace, BATCHED, 1)
    assert ran.latencies_s[-1] < 1.0
    assert BATCHED.rate_within(10.0) == pytest.approx(160)


def test_a_lone_request_waits_for_no_company() -> None:
    ran = run(Trace(name="one", arrivals=[1.0], duration_s=2.0), SERIAL, 1)
    assert ran.latencies_s[0] == pytest.approx(0.1)


def test_a_sleeping_release_holds_requests_until_a_replica_is_ready() -> None:
    ran = simulate(
        Trace(name="wake", arrivals=[5.2, 5.4], duration_s=20.0), SERIAL,
        Ours(policy=ScalingSpec(min=0), start_s=4.0, concurrency=2.0), Limits(replicas=0),
    )  # fmt: skip
    assert ran.held == 2
    assert ran.latencies_s[0] == pytest.approx(4.0 + 0.6 + 0.1, abs=0.25)


def test_more_than_may_be_held_is_turned_away() -> None:
    trace = Trace(name="flood", arrivals=[1.5] * 50, duration_s=10.0)
    ran = simulate(
        trace, SERIAL, Ours(policy=ScalingSpec(min=0), start_s=4.0, concurrency=2.0),
        Limits(replicas=0, held_max=20),
    )  # fmt: skip
    assert (ran.held, ran.rejected) == (20, 30)


def test_replica_seconds_are_those_of_all_replicas() -> None:
    assert run(poisson(1.0, 100, seed=1), SERIAL, 3).replica_s == pytest.approx(300)


def test_the_same_seed_gives_the_same_run() -> None:
    trace = bursts(5.0, 4.0, 300, 100, seed=5)

    def once(seed: int) -> Ran:
        scaler = Ours(policy=ScalingSpec(), start_s=4.0, concurrency=2.0, rate_per_replica=10.0)
        return simulate(trace, SERIAL, scaler, Limits(seed=seed))

    assert once(1) == once(1)
    assert once(1) != once(2)


def test_taking_replicas_away_loses_no_request() -> None:
    trace = on_off(15.0, 60, 60, 600, seed=4)
    scaler = Ours(
        policy=ScalingSpec(max=20, down_s=0), start_s=4.0, concurrency=2.0, rate_per_replica=10.0
    )
    ran = simulate(trace, SERIAL, scaler, Limits())
    assert ran.starts > 1
    assert len(ran.latencies_s) == ran.arrived


def test_ours_misses_less_than_others_on_a_burst_with_fewer_replica_seconds() -> None:
    trace = bursts(10.0, 5.0, 900, 300, seed=3)
    profile = ServiceProfile(curve=((1, 0.1),), start_s=10.0)
    rows = compare_scalers(
        trace, profile,
        {
            "ours": Ours(policy=ScalingSpec(max=200), start_s=10, concurrency=2, rate_per_replica=10),
            "knative": Knative(concurrency=2),
            "hpa": Hpa(concurrency=2),
        },
        Objective(slo_s=0.5, price_per_hour=1.0), Limits(replicas=2),
    )  # fmt: skip
    ours, *others = rows
    for other in others:
        assert ours.misses < other.misses
        assert ours.replica_s <= other.replica_s
    assert ours.cost == pytest.approx(ours.replica_s / 3600, rel=1e-3)


def test_rates_of_synthetic_traces_are_as_asked() -> None:
    assert poisson(50.0, 1000).rate_per_s == pytest.approx(50, rel=0.02)
    assert on_off(50.0, 100, 300, 4000).rate_per_s == pytest.approx(12.5, rel=0.05)
    assert bursts(10.0, 4.0, 3000, 300).rate_per_s == pytest.approx(15, rel=0.05)
    quiet = [at for at in diurnal(1.0, 100.0, 1000).arrivals if at < 50]
    assert len(quiet) < 150


def test_a_trace_is_read_from_lines() -> None:
    trace = parse_trace(["# seconds", "10", "10.5,2", "", "12"])
    assert list(trace.arrivals) == [0.0, 0.5, 0.5, 2.0]
    assert trace.duration_s == 3.0


@pytest.mark.parametrize("lines", [["soon"], ["1", "0.5"], ["1,many"]])
def test_a_line_that_is_no_arrival_is_named(lines: list[str]) -> None:
    with pytest.raises(InvalidInput, match="line"):
        parse_trace(lines)


def test_recorded_windows_become_as_many_arrivals() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    windows = [
        Window(
            backend="digits", version="v1", start=start + timedelta(seconds=10 * index),
            end=start + timedelta(seconds=10 * index + 10), requests=index * 10, rejected=1,
        )
        for index in range(5)
    ]  # fmt: skip
    trace = recorded(windows)
    assert (len(trace.arrivals), trace.duration_s) == (105, 50.0)
    assert list(trace.arrivals) == sorted(trace.arrivals)
    assert recorded([]).arrivals == ()


def test_a_service_curve_must_grow() -> None:
    with pytest.raises(InvalidInput):
        ServiceProfile(curve=((4, 0.1), (1, 0.2)))


def test_the_curve_is_a_line_between_its_points() -> None:
    assert BATCHED.table()[1] == pytest.approx(0.02)
    assert BATCHED.table()[8] == pytest.approx(0.05)
    assert BATCHED.table()[4] == pytest.approx(0.02 + 0.03 * 3 / 7)


def test_percentiles_and_misses_are_counted() -> None:
    ran = Ran(
        latencies_s=tuple(value / 1000 for value in range(1, 101)), arrived=103, rejected=2,
        unanswered=1, held=0, starts=0, replica_s=10.0, replicas_max=1, timeline=(),
    )  # fmt: skip
    row = summarise(Trace(name="t", arrivals=(), duration_s=1), "x", ran, Objective(slo_s=0.0905))
    assert (row.p50_ms, row.p95_ms, row.misses) == (50.0, 95.0, 13)
    assert math.isclose(row.miss_share, 13 / 103)
