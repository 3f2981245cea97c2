"""Suggestions, against the numbers of the literature and of measurements."""

import math
import random

import pytest

from prometheus_ai.scaling import (
    MemoryFacts,
    ServiceFacts,
    break_even_per_s,
    sleep_choices,
    suggest_batching,
    suggest_cpu,
    suggest_memory,
    suggest_replicas,
    suggest_sleep,
    throttled_s,
)

GIB = 2**30
CURVE = ((1, 0.02), (32, 0.1))


def test_memory_is_the_largest_peak_with_a_margin_and_its_risk_is_said() -> None:
    found = suggest_memory(MemoryFacts(daily_peaks=tuple([GIB] * 13 + [2 * GIB])))
    assert found.value == pytest.approx(2.3 * GIB, rel=1e-6)
    assert "6.7%" in found.risk


def test_memory_that_killed_it_is_not_suggested_again() -> None:
    found = suggest_memory(MemoryFacts(daily_peaks=(GIB,), killed_at=2 * GIB))
    assert (found.value, found.why) == (2.5 * GIB, "killed for memory before")


@pytest.mark.parametrize(
    ("work_s", "quota", "threads", "takes_s"),
    [(0.03, 0.13, 1, 0.204), (0.2, 1, 8, 0.1125), (0.2, 2, 8, 0.025), (0.05, 1, 1, 0.05)],
)
def test_throttling_takes_whole_periods(
    work_s: float, quota: float, threads: int, takes_s: float
) -> None:
    assert throttled_s(work_s, quota, threads) == pytest.approx(takes_s, abs=0.001)


def test_cpu_is_enough_that_the_heaviest_requests_are_not_throttled() -> None:
    assert suggest_cpu(0.2, 8).value == 2.0
    assert suggest_cpu(0.01, 1).value <= 1.0


def test_replicas_carry_the_peak_with_room() -> None:
    facts = ServiceFacts(curve=CURVE, peak_per_s=1500, slo_s=0.3)
    found = suggest_replicas(facts, 32)
    assert found.value * 320 * 0.86 >= 1500
    assert found.value <= 7


def test_batches_grow_until_it_pays_no_more() -> None:
    rows, wait = suggest_batching(ServiceFacts(curve=CURVE, peak_per_s=200, slo_s=0.5))
    assert 8 <= rows.value <= 32
    assert wait.value > 0
    flat = ((1, 0.1), (8, 0.8))
    rows, wait = suggest_batching(ServiceFacts(curve=flat, peak_per_s=5, slo_s=0.5))
    assert (rows.value, wait.value) == (1, 0)


def test_a_batch_never_takes_more_than_half_the_objective() -> None:
    rows, _ = suggest_batching(ServiceFacts(curve=CURVE, peak_per_s=200, slo_s=0.1))
    assert 0.02 + 0.08 * (rows.value - 1) / 31 <= 0.05 + 1e-9


def test_thin_traffic_waits_for_nobody() -> None:
    _, wait = suggest_batching(ServiceFacts(curve=CURVE, peak_per_s=0.5, slo_s=0.5))
    assert wait.value == 0


def test_poisson_gaps_sleep_as_the_formula_says() -> None:
    chance = random.Random(1)
    gaps = [chance.expovariate(1 / 300) for _ in range(50_000)]
    for choice in sleep_choices(gaps, 0.0):
        assert choice.cold_share == pytest.approx(math.exp(-choice.idle_s / 300), abs=0.01)
        assert choice.awake_share == pytest.approx(1 - choice.cold_share, abs=0.02)


def test_bursts_sleep_better_than_the_same_requests_spread_out() -> None:
    spread = [600.0] * 1000
    burst = ([1.0] * 49 + [29_951.0]) * 20
    assert sum(spread) == pytest.approx(sum(burst))
    assert suggest_sleep(spread, 5.0).value == 0
    found = suggest_sleep(burst, 5.0)
    assert found.value > 0
    assert "2.0% of requests wait about 5.0 s" in found.risk


def test_busy_traffic_stays_awake() -> None:
    assert suggest_sleep([0.5] * 1000, 5.0).value == 0
    assert suggest_sleep([], 5.0).value == 0


def test_the_break_even_is_where_both_cost_the_same() -> None:
    rate = break_even_per_s(0.7, 0.0005, 0.2, (0.05, 10.0))
    always = 0.7 * 730
    serverless = rate * 730 * 3600 * (0.2 + 0.05 * 10) * 0.0005
    assert serverless == pytest.approx(always)
    assert break_even_per_s(0.7, 0.0, 0.2, (0.0, 0.0)) == math.inf
