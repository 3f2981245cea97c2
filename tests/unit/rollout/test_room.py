"""Plans that fit, and refusals that say why."""

from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.rollout import Room, plan_rollout
from tests.unit.rollout.world import ONE, ground

NOTHING = Room(cpu=0, memory_bytes=0)
GPU = Room(cpu=1, memory_bytes=2**30, gpu=1)
CANARY = RolloutSpec()


def test_with_room_the_old_release_stays_whole_through_every_step() -> None:
    plan = plan_rollout(ground(), CANARY)
    assert [step.candidate_replicas for step in plan.steps] == [1, 1, 1, 2, 4]
    assert all(step.stable_replicas == 4 and step.rollback_s == 0 for step in plan.steps)
    assert not plan.is_swap


def test_more_demand_than_today_gives_the_candidate_more_replicas() -> None:
    plan = plan_rollout(ground(demand=70.0, per_replica=10.0), CANARY)
    assert plan.steps[-1].candidate_replicas == 10


def test_without_room_slack_is_swapped_and_rollback_stays_instant() -> None:
    given = ground(free=NOTHING, demand=10.0, per_replica=10.0)
    plan = plan_rollout(given, RolloutSpec(steps=(5, 25, 100)))
    assert plan.is_swap
    assert plan.steps[0].percent == 5
    assert plan.steps[0].stable_replicas == 3
    assert plan.steps[0].rollback_s == 0
    assert plan.steps[-1].percent == 100
    assert plan.steps[-1].rollback_s > 0
    assert any("rollback takes" in note for note in plan.notes)


def test_no_replica_is_stopped_that_the_step_before_still_needs() -> None:
    given = ground(stable_replicas=6, free=NOTHING, demand=38.0, per_replica=10.0)
    plan = plan_rollout(given, CANARY)
    assert plan.steps
    before = 0.0
    for step in plan.steps:
        assert step.stable_replicas * 10 * 0.95 >= 38 * (1 - before / 100) - 1e-6
        before = step.percent


def test_one_gpu_cannot_be_swapped_and_the_refusal_says_what_would_do() -> None:
    given = ground(
        stable_replicas=1, stable_size=GPU, candidate_size=GPU,
        free=Room(cpu=8, memory_bytes=2**33), demand=1.0, per_replica=4.0,
    )  # fmt: skip
    plan = plan_rollout(given, CANARY)
    assert not plan.steps
    assert "1 GPUs are needed and 0 are free" in plan.refusal
    assert "recreate" in plan.refusal
    assert plan_rollout(given, RolloutSpec(strategy="recreate")).steps


def test_refuse_means_no_swap() -> None:
    given = ground(free=NOTHING, demand=10.0, per_replica=10.0)
    plan = plan_rollout(given, RolloutSpec(without_room="refuse"))
    assert "memory are needed" in plan.refusal


def test_blue_green_needs_a_whole_second_set() -> None:
    given = ground(free=Room(cpu=3, memory_bytes=2**33))
    plan = plan_rollout(given, RolloutSpec(strategy="blue-green"))
    assert "4 CPUs are needed and 3 are free" in plan.refusal


def test_rolling_uses_one_extra_replica() -> None:
    plan = plan_rollout(ground(free=ONE), RolloutSpec(strategy="rolling"))
    assert [(step.candidate_replicas, step.stable_replicas) for step in plan.steps] == [
        (1, 4), (2, 3), (3, 2), (4, 1),
    ]  # fmt: skip


def test_a_larger_candidate_that_never_fits_is_refused() -> None:
    giant = Room(cpu=100, memory_bytes=2**30)
    for strategy in ("canary", "recreate", "rolling"):
        plan = plan_rollout(ground(candidate_size=giant, free=ONE), RolloutSpec(strategy=strategy))
        assert plan.refusal


def test_the_schedule_says_how_long_steps_take() -> None:
    plan = plan_rollout(ground(rate_per_s=100.0, requests_to_decide=1500), CANARY)
    assert [round(step.expected_s) for step in plan.steps] == [300, 60, 60, 60, 600]
    silent = plan_rollout(ground(rate_per_s=0.0), CANARY)
    assert silent.steps[0].expected_s == CANARY.patience_s


def test_without_any_room_a_first_release_is_refused() -> None:
    assert (
        "a first replica" in plan_rollout(ground(stable_replicas=0, free=NOTHING), CANARY).refusal
    )
