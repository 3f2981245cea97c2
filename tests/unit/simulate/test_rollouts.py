"""Whole rollouts with the production deciders: good ones pass, bad ones are taken back."""

import pytest

from prometheus_ai.domain.policy import GatesSpec, RolloutSpec
from prometheus_ai.domain.rollout import RolloutPhase
from prometheus_ai.rollout import Ground, Room
from prometheus_ai.simulate import Behaviour, RolledOut, Stage, simulate_rollout

ONE = Room(cpu=1, memory_bytes=2**30)
GROUND = Ground(
    stable_replicas=2, stable_size=ONE, candidate_size=ONE,
    free=Room(cpu=16, memory_bytes=16 * 2**30), rate_per_s=50.0, start_s=3.0,
)  # fmt: skip
POLICY = RolloutSpec(step_s=20, bake_s=60, patience_s=1200)
GOOD = Behaviour(error_rate=0.002)


def play(candidate: Behaviour, policy: RolloutSpec = POLICY, **values: object) -> RolledOut:
    given = {"stable": GOOD, "ground": GROUND, "seed": 1, **values}
    return simulate_rollout(Stage(candidate=candidate, **given), policy)  # type: ignore[arg-type]


def test_a_good_release_is_promoted_by_verdict() -> None:
    ran = play(GOOD)
    assert ran.phase is RolloutPhase.DONE
    assert [move[2] for move in ran.moves][-1] == 100
    assert ran.took_s < 1200


@pytest.mark.parametrize(
    ("candidate", "harmed_max"),
    [
        (Behaviour(error_rate=1.0), 20),
        (Behaviour(error_rate=0.2), 40),
        (Behaviour(error_rate=0.002, latency_s=0.06), 20),
    ],
)
def test_a_bad_release_is_taken_back_before_many_are_harmed(
    candidate: Behaviour, harmed_max: int
) -> None:
    ran = play(candidate)
    assert ran.phase is RolloutPhase.ROLLED_BACK
    assert ran.harmed <= harmed_max


def test_a_release_that_only_fails_is_gone_within_seconds() -> None:
    ran = play(Behaviour(error_rate=1.0))
    given_s = next(move[0] for move in ran.moves if move[2] > 0)
    assert ran.took_s - given_s <= 3


def test_a_model_that_is_wrong_more_often_is_noticed_by_its_labels() -> None:
    ran = play(
        Behaviour(error_rate=0.002, wrong_rate=0.3), POLICY,
        stable=Behaviour(error_rate=0.002, wrong_rate=0.1), labelled=0.1,
    )  # fmt: skip
    assert ran.phase is RolloutPhase.ROLLED_BACK
    assert "accuracy" in ran.reason


def test_a_shadow_that_answers_otherwise_never_reaches_users() -> None:
    policy = RolloutSpec.model_validate(
        {"strategy": "shadow", "step_s": 20, "gates": {"agreement": {}}}
    )
    ran = play(Behaviour(error_rate=0.002, wrong_rate=0.2), policy)
    assert (ran.phase, ran.harmed) == (RolloutPhase.ROLLED_BACK, 0)
    assert "agreement" in ran.reason


def test_too_little_traffic_is_no_success() -> None:
    policy = RolloutSpec(patience_s=300, low_traffic="wait", waits_max=1)
    quiet = Ground(**{**_fields(GROUND), "rate_per_s": 0.05})  # type: ignore[arg-type]
    ran = play(GOOD, policy, ground=quiet)
    assert ran.phase is RolloutPhase.ROLLED_BACK
    assert "no verdict" in ran.reason


def test_a_rollout_that_cannot_fit_is_refused_before_anything_moves() -> None:
    full = Ground(**{**_fields(GROUND), "free": Room(cpu=0, memory_bytes=0)})  # type: ignore[arg-type]
    ran = play(GOOD, RolloutSpec(without_room="refuse"), ground=full)
    assert ran.phase is None
    assert "no room" in ran.reason


def test_false_rollbacks_of_whole_rollouts_are_rare() -> None:
    policy = RolloutSpec(step_s=20, bake_s=20, patience_s=600, gates=GatesSpec(alpha=0.05))
    busy = Ground(**{**_fields(GROUND), "rate_per_s": 100.0})  # type: ignore[arg-type]
    stage = {"stable": Behaviour(error_rate=0.01), "ground": busy, "tick_s": 5.0}
    ended = [
        play(Behaviour(error_rate=0.01), policy, **{**stage, "seed": seed}) for seed in range(6)
    ]
    assert sum(ran.phase is RolloutPhase.ROLLED_BACK for ran in ended) == 0


def _fields(ground: Ground) -> dict[str, object]:
    return {name: getattr(ground, name) for name in ground.__dataclass_fields__}
