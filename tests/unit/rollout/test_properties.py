"""What holds for every rollout, whatever happens to it."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_ai.domain.evidence import Outcome
from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.rollout import Act, Command, RolloutPhase
from prometheus_ai.domain.route import WEIGHT_SUM
from prometheus_ai.rollout import Room, plan_rollout
from tests.unit.rollout.world import World, begun, ground

STRATEGIES = ["canary", "ab", "blue-green", "shadow", "recreate", "rolling"]
POLICIES = st.builds(
    RolloutSpec,
    strategy=st.sampled_from(STRATEGIES),
    low_traffic=st.sampled_from(["wait", "widen", "shadow", "replay", "ask"]),
    on_fail=st.sampled_from(["rollback", "pause"]),
    step_s=st.sampled_from([0.0, 30.0]),
    patience_s=st.just(300.0),
    waits_max=st.integers(1, 3),
    bake_s=st.sampled_from([0.0, 120.0]),
    ready_s=st.just(200.0),
)
TURNS = st.lists(
    st.tuples(
        st.sampled_from([None, *Outcome]),
        st.one_of(st.none(), st.none(), st.none(), st.sampled_from(list(Command))),
        st.booleans(),
        st.integers(0, 4),
        st.integers(0, 4),
        st.sampled_from([1.0, 40.0, 400.0]),
    ),
    max_size=40,
)


def play(world: World, turns: list[tuple]) -> None:  # type: ignore[type-arg]
    for outcome, command, follows, candidate, stable, seconds in turns:
        if not follows:
            world.ready = {"v2": candidate, "v1": stable}
        world.turn(outcome, command, seconds=seconds, starts=follows)


@given(policy=POLICIES, turns=TURNS)
@settings(deadline=None, max_examples=150)
def test_traffic_moves_to_ready_replicas_only(policy: RolloutSpec, turns: list[tuple]) -> None:  # type: ignore[type-arg]
    world = World(policy=policy, state=begun(policy))
    share = 0
    for turn in turns:
        before = dict(world.ready) if turn[2] else {"v2": turn[3], "v1": turn[4]}
        play(world, [turn])
        made = world.decisions[-1]
        ours = dict(made.weights).get("v2", 0)
        assert sum(weight for _, weight in made.weights) == WEIGHT_SUM
        if ours > share:
            assert before["v2"] > 0
        if before["v2"] == 0 and before["v1"] > 0:
            assert ours == 0 or world.decisions[-2].state.has_ended
        share = ours


@given(policy=POLICIES, turns=TURNS)
@settings(deadline=None, max_examples=150)
def test_the_stable_release_stays_whole_until_the_end(
    policy: RolloutSpec, turns: list[tuple]
) -> None:  # type: ignore[type-arg]
    world = World(policy=policy, state=begun(policy))
    if world.state.plan.is_swap:
        return
    for turn in turns:
        play(world, [turn])
        made = world.decisions[-1]
        if made.state.phase is RolloutPhase.DONE and made.state.weight == 100:
            return
        assert dict(made.replicas)["v1"] >= 4


@given(policy=POLICIES, turns=TURNS)
@settings(deadline=None, max_examples=150)
def test_weights_do_not_swing(policy: RolloutSpec, turns: list[tuple]) -> None:  # type: ignore[type-arg]
    """A share only grows, but for a bounded number of retreats and one way back."""
    world = World(policy=policy, state=begun(policy))
    play(world, turns)
    shares = [dict(made.weights).get("v2", 0) for made in world.decisions]
    drops = sum(later < earlier for earlier, later in pairwise(shares))
    assert drops <= 4
    ended = next((i for i, made in enumerate(world.decisions) if made.state.has_ended), None)
    if ended is not None:
        assert len(set(shares[ended:])) <= 1


@given(policy=POLICIES, turns=TURNS, outcome=st.sampled_from([None, *Outcome]))
@settings(deadline=None, max_examples=150)
def test_every_state_has_a_way_out(
    policy: RolloutSpec,
    turns: list[tuple],
    outcome: Outcome | None,  # type: ignore[type-arg]
) -> None:
    """Left alone with working replicas it ends by itself; an A/B comparison ends when told to."""
    world = World(policy=policy, state=begun(policy))
    play(world, turns)
    world.ready["v1"] = max(world.ready["v1"], 1)
    if policy.strategy == "ab":
        world.turn(outcome, Command.ABORT)
    assert world.until_end(outcome, turns=400, seconds=60) < 400


@given(policy=POLICIES, turns=TURNS)
@settings(deadline=None, max_examples=100)
def test_a_rollback_is_possible_at_any_time(policy: RolloutSpec, turns: list[tuple]) -> None:  # type: ignore[type-arg]
    world = World(policy=policy, state=begun(policy))
    play(world, turns)
    if world.state.has_ended:
        return
    world.ready["v1"] = 4
    made = world.turn(None, Command.ROLLBACK)
    assert (made.act, made.weights) == (Act.ROLLBACK, (("v1", WEIGHT_SUM),))


ROOMS = st.builds(
    Room, cpu=st.integers(0, 12).map(float), memory_bytes=st.integers(0, 12 * 2**30),
    gpu=st.integers(0, 4),
)  # fmt: skip
SIZES = st.builds(
    Room, cpu=st.sampled_from([0.5, 1.0, 2.0]), memory_bytes=st.just(2**30), gpu=st.integers(0, 1)
)


@given(
    policy=POLICIES, free=ROOMS, stable=SIZES, candidate=SIZES, replicas=st.integers(1, 8),
    demand=st.floats(0, 60), per_replica=st.sampled_from([0.0, 5.0, 10.0]),
)  # fmt: skip
@settings(deadline=None, max_examples=300)
def test_every_planned_step_fits_and_can_go_back(
    policy: RolloutSpec, free: Room, stable: Room, candidate: Room, replicas: int,
    demand: float, per_replica: float,
) -> None:  # fmt: skip
    given_ground = ground(
        free=free, stable_size=stable, candidate_size=candidate, stable_replicas=replicas,
        demand=demand, per_replica=per_replica,
    )  # fmt: skip
    plan = plan_rollout(given_ground, policy)
    assert bool(plan.steps) != bool(plan.refusal)
    all_room = free.plus(stable, replicas)
    for step in plan.steps:
        left = all_room.plus(stable, -step.stable_replicas)
        assert left.holds(candidate) >= step.candidate_replicas
        assert step.candidate_replicas >= 1
        whole = step.stable_replicas * per_replica * 0.95 >= demand or not per_replica
        assert step.rollback_s > 0 or step.stable_replicas == replicas or whole
    percents = [step.percent for step in plan.steps]
    assert percents == sorted(set(percents))
