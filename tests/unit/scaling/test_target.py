"""How many replicas a release should have."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from prometheus_ai.domain.demand import DemandSample, ScalingDecision, ScalingFacts, ScalingState
from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.scaling import begin_scaling, target
from prometheus_ai.scaling.wishes import scheduled

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)  # a Monday


@dataclass
class Release:
    """A release whose replicas are always as wanted."""

    policy: ScalingSpec
    replicas: int = 1
    now: datetime = START
    state: ScalingState | None = None
    start_s: float = 2.0
    concurrency: float | None = 10.0
    floor: int = 0
    ceiling: int | None = None
    activator_ready: bool = True

    def turn(
        self, active: float = 0.0, pending: float = 0.0, *, seconds: float = 1.0,
        silent: bool = False, ready: int | None = None, **sample: Any,
    ) -> ScalingDecision:  # fmt: skip
        self.now += timedelta(seconds=seconds)
        if self.state is None:
            self.state = begin_scaling(self.now, self.replicas)
        found = None if silent else DemandSample(
            at=self.now, active=active, pending=pending, **sample
        )  # fmt: skip
        facts = ScalingFacts(
            sample=found, replicas=self.replicas, ready=self.replicas if ready is None else ready,
            start_s=self.start_s, concurrency=self.concurrency, floor=self.floor,
            ceiling=self.ceiling, activator_ready=self.activator_ready,
        )  # fmt: skip
        decided = target(self.state, facts, self.policy, self.now)
        self.state, self.replicas = decided.state, decided.replicas
        return decided

    def during(self, turns: int, active: float = 0.0, **values: Any) -> ScalingDecision:
        decided = self.turn(active, **values)
        for _ in range(turns - 1):
            decided = self.turn(active, **values)
        return decided


def release(replicas: int = 1, **values: Any) -> Release:
    return Release(policy=ScalingSpec.model_validate(values), replicas=replicas)


def test_demand_over_what_a_replica_should_carry_is_the_number() -> None:
    assert release(max=50).during(70, 40).replicas == 6


def test_large_fleets_need_less_room_than_in_proportion() -> None:
    large = release(max=200)
    assert large.during(90, 900).replicas < 900 / 7
    assert large.replicas * 10 * 0.86 >= 900


def test_a_burst_is_followed_within_seconds_and_not_shrunk_while_it_lasts() -> None:
    run = release(2, max=50)
    run.during(120, 8)
    grown = run.during(8, 80)
    assert grown.is_panicking
    assert grown.replicas >= 8
    most = grown.replicas
    for _ in range(30):
        following = run.turn(5).replicas
        assert following >= most
        most = following


def test_after_a_quiet_time_it_shrinks_by_half_at_most_within_a_window() -> None:
    run = release(16, max=50, down_s=0)
    counts = [run.turn(1).replicas for _ in range(400)]
    assert counts[-1] == 1
    for index, count in enumerate(counts[60:], 60):
        assert count >= counts[index - 60] / 2


def test_a_replica_stays_until_it_was_not_needed_for_a_while() -> None:
    run = release(1, max=50, down_s=200)
    run.during(70, 30)
    assert run.replicas == 5
    assert run.during(190, 5).replicas == 5
    assert run.during(150, 5).replicas == 1


def test_a_release_that_takes_long_to_start_is_kept_longer() -> None:
    def seconds_kept(start_s: float) -> int:
        run = release(1, max=50)
        run.start_s = start_s
        run.during(70, 30)
        return next(turn for turn in range(2000) if run.turn(5).replicas < 5)

    assert seconds_kept(1.0) < seconds_kept(60.0)


def test_a_rising_demand_is_met_before_it_is_there() -> None:
    slow, quick = release(max=100), release(max=100)
    slow.start_s, quick.start_s = 60.0, 1.0
    for turn in range(120):
        slow.turn(10 + turn * 0.5)
        quick.turn(10 + turn * 0.5)
    assert slow.replicas > quick.replicas


@pytest.mark.parametrize("silent_s", [1, 30, 3600])
def test_silence_never_shrinks(silent_s: int) -> None:
    run = release(8, max=50, min=0)
    run.during(70, 60)
    before = run.replicas
    decided = run.during(10, silent=True, seconds=silent_s)
    assert decided.replicas == before
    assert "nothing shrinks" in decided.reason


def test_stale_measurements_are_silence() -> None:
    run = release(8, stale_s=10)
    sample = DemandSample(at=START - timedelta(seconds=11), active=0, pending=0)
    facts = ScalingFacts(sample=sample, replicas=8, ready=8)
    decided = target(begin_scaling(START, 8), facts, run.policy, START)
    assert decided.replicas == 8


def test_long_silence_brings_the_configured_number_at_least() -> None:
    run = release(2, max=50, missing_s=100, missing_replicas=6)
    assert run.during(9, silent=True, seconds=10).replicas == 2
    assert run.during(3, silent=True, seconds=10).replicas == 6


def test_after_silence_only_a_whole_window_of_new_data_shrinks() -> None:
    run = release(8, max=50, down_s=0)
    run.during(70, 60)
    run.during(5, silent=True, seconds=60)
    assert run.during(55, 1).replicas >= 8
    assert run.during(200, 1).replicas < 8


def test_a_restarted_autoscaler_shrinks_nothing_on_lost_history() -> None:
    run = release(9, max=50, down_s=0)
    assert run.during(58, 1).replicas == 9
    assert run.during(100, 1).replicas < 9


def test_a_missing_target_keeps_what_runs_but_may_grow() -> None:
    run = release(4, max=50, cpu=60, down_s=0)
    assert run.during(200, 1).replicas == 4
    assert run.during(70, 60).replicas > 4


@pytest.mark.parametrize(
    ("policy", "sample", "wanted"),
    [
        ({"cpu": 50}, {"cpu_percent": 100.0}, 8),
        ({"cpu": 50}, {"cpu_percent": 53.0}, 4),
        ({"memory": 50}, {"memory_percent": 75.0}, 6),
        ({"metrics": [{"name": "gpu_queue", "per_replica": 10}]}, {"metrics": (("gpu_queue", 95.0),)}, 10),
        ({"queue": 2}, {"pending": 14.0}, 7),
    ],
)  # fmt: skip
def test_targets_are_combined_by_the_largest(policy: Any, sample: Any, wanted: int) -> None:
    run = release(4, max=50, **policy)
    assert run.turn(1.0, **sample).replicas == wanted


def test_latency_above_its_target_adds_replicas_once_and_waits_for_the_effect() -> None:
    run = release(2, max=50, latency={"ms": 100})
    slow = {"latency_ms": 180.0, "latency_count": 500}
    assert run.turn(5, **slow).replicas == 4
    assert run.during(10, 5, **slow).replicas == 4
    assert run.during(60, 5, **slow).replicas > 4


def test_few_requests_are_no_latency() -> None:
    run = release(2, max=50, latency={"ms": 100})
    assert run.turn(5, latency_ms=900.0, latency_count=20).replicas == 2


def test_latency_close_to_its_target_keeps_replicas() -> None:
    run = release(4, max=50, latency={"ms": 100}, down_s=0)
    assert run.during(300, 5, latency_ms=90.0, latency_count=500).replicas == 4
    assert run.during(300, 5, latency_ms=20.0, latency_count=500).replicas < 4


def test_an_idle_release_sleeps_and_wakes() -> None:
    run = release(1, min=0, idle_s=300)
    run.during(70, 3)
    assert run.during(299).replicas == 1
    assert run.during(2).replicas == 0
    assert run.turn().reason == "asleep"
    assert run.turn(0, 2).replicas >= 1


def test_nothing_sleeps_while_nobody_would_hold_its_requests() -> None:
    run = release(1, min=0, idle_s=60)
    run.activator_ready = False
    assert run.during(200).replicas == 1


def test_nothing_sleeps_on_lost_history() -> None:
    run = release(1, min=0, idle_s=300)
    run.during(290)
    run.state = None
    assert run.during(290).replicas == 1


def test_a_rollout_holds_its_replicas() -> None:
    run = release(4, min=0, idle_s=60, down_s=0)
    run.floor = 4
    assert run.during(400).replicas == 4


def test_bounds_hold_and_are_said() -> None:
    run = release(1, max=5)
    decided = run.during(70, 400)
    assert decided.replicas == 5
    assert "the most there may be" in decided.reason
    run.ceiling = 3
    assert run.turn(400).replicas == 3


def test_growth_is_limited_when_asked_to_be() -> None:
    run = release(2, max=100, up_max=3)
    counts = [run.turn(800).replicas for _ in range(30)]
    assert max(counts) == 5


@pytest.mark.parametrize(
    ("at", "replicas"),
    [("12:00", 0), ("07:59", 0), ("08:00", 5), ("09:59", 5), ("23:30", 3), ("00:30", 3)],
)
def test_the_schedule_is_a_floor(at: str, replicas: int) -> None:
    policy = ScalingSpec.model_validate({"schedule": [
        {"start": "08:00", "end": "10:00", "replicas": 5, "days": ["mon"]},
        {"start": "23:00", "end": "01:00", "replicas": 3},
    ]})  # fmt: skip
    hour, minute = at.split(":")
    assert scheduled(policy.schedule, START.replace(hour=int(hour), minute=int(minute))) == replicas


def test_an_overload_asks_for_no_more_than_arrivals_need() -> None:
    """Two hundred requests wait because replicas are a little too few, not because twenty are needed."""
    run = release(4, max=100)
    for turn in range(60):
        decided = run.turn(40, turn * 3.0, arrivals_per_s=43.0, ready=4)
    assert decided.replicas <= 12


def test_the_state_survives_a_restart_as_json_and_stays_small() -> None:
    run = release(2, max=50, latency={"ms": 100}, down_s=600)
    run.during(700, 12, latency_ms=50.0, latency_count=100, arrivals_per_s=30.0)
    adapter = TypeAdapter(ScalingState)
    assert run.state is not None
    text = json.dumps(adapter.dump_python(run.state, mode="json"), allow_nan=False)
    assert len(text) < 8_000
    assert adapter.validate_json(text) == run.state
