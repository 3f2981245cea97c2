"""What a rollout does next, strategy by strategy."""

import json
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter

from prometheus_ai.domain.evidence import Outcome
from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.rollout import Act, Command, RolloutFacts, RolloutPhase, RolloutState
from prometheus_ai.domain.route import WEIGHT_SUM
from prometheus_ai.rollout import begin, next_plan_step, next_step, plan_rollout, supersede
from tests.unit.rollout.world import START, World, begun, ground, verdict

PASS, FAIL, OPEN = Outcome.PASS, Outcome.FAIL, Outcome.INSUFFICIENT


def world(**values: Any) -> World:
    policy = RolloutSpec.model_validate(values)
    return World(policy=policy, state=begun(policy))


def shares(run: World) -> list[float]:
    """Return the candidate's percentages in the order in which they changed."""
    found = [dict(made.weights).get("v2", 0) / 100 for made in run.decisions]
    return [share for index, share in enumerate(found) if index == 0 or share != found[index - 1]]


def test_a_canary_that_passes_goes_up_step_by_step_and_bakes() -> None:
    run = world()
    run.until_end(PASS)
    assert shares(run) == [0, 5, 10, 25, 50, 100]
    assert run.state.phase is RolloutPhase.DONE
    assert dict(run.decisions[-1].replicas) == {"v2": 4}


def test_every_step_lasts_its_shortest_time() -> None:
    run = world(step_s=60)
    run.turn(PASS)
    run.turn(PASS)
    assert run.turn(PASS, seconds=59).act is Act.HOLD
    assert run.turn(PASS, seconds=2).act is Act.ADVANCE


def test_a_failing_canary_gives_everything_back_at_once() -> None:
    run = world()
    run.turn(OPEN)
    run.turn(OPEN)
    made = run.turn(FAIL, seconds=1)
    assert made.act is Act.ROLLBACK
    assert made.weights == (("v1", WEIGHT_SUM),)
    assert run.state.phase is RolloutPhase.ROLLED_BACK


def test_a_failure_while_waiting_for_a_person_still_rolls_back() -> None:
    run = world()
    run.turn(OPEN)
    run.turn(OPEN, Command.PAUSE)
    assert run.turn(FAIL).act is Act.ROLLBACK


def test_a_failure_during_the_bake_rolls_back() -> None:
    run = world()
    while run.state.phase is not RolloutPhase.BAKING:
        run.turn(PASS, seconds=61)
    assert dict(run.decisions[-1].replicas)["v1"] == 4
    assert run.turn(FAIL, seconds=1).weights == (("v1", WEIGHT_SUM),)


def test_on_fail_pause_asks_but_a_tripwire_does_not() -> None:
    run = world(on_fail="pause")
    run.turn(OPEN)
    run.turn(OPEN)
    assert run.turn(FAIL).act is Act.PAUSE
    assert run.turn(FAIL).act is Act.HOLD
    assert run.turn(FAIL, at_once=True).act is Act.ROLLBACK


def test_silence_is_not_success() -> None:
    run = world(patience_s=600, low_traffic="wait", waits_max=2)
    run.until_end(OPEN)
    assert max(shares(run)) == 5
    assert run.state.phase is RolloutPhase.ROLLED_BACK


def test_asking_pauses_and_nobody_answering_rolls_back() -> None:
    run = world(patience_s=600, low_traffic="ask", waits_max=2)
    run.until_end(OPEN)
    assert any(made.act is Act.PAUSE and made.state.asks for made in run.decisions)
    assert run.state.phase is RolloutPhase.ROLLED_BACK


def test_widening_stops_at_half() -> None:
    run = world(patience_s=600, low_traffic="widen", waits_max=2)
    run.until_end(OPEN)
    assert shares(run) == [0, 5, 10, 25, 50, 0]


def test_low_traffic_can_be_helped_by_mirroring() -> None:
    run = world(patience_s=600, low_traffic="shadow")
    for _ in range(13):
        run.turn(OPEN, seconds=60)
    assert run.state.mirror == 100
    assert run.turn(PASS, seconds=60).state.mirror == 0


def test_low_traffic_can_be_helped_by_kept_requests_which_go_on_being_replayed() -> None:
    run = world(patience_s=600, low_traffic="replay")
    run.kept = 40
    for _ in range(13):
        run.turn(OPEN, seconds=60)
    assert (run.state.replays, run.state.mirror) == (True, 0)
    assert [made.act for made in run.decisions].count(Act.REPLAY) == 1
    assert "40 kept requests" in next(m.reason for m in run.decisions if m.act is Act.REPLAY)
    assert run.turn(PASS, seconds=60).state.replays
    run.until_end(PASS)
    assert not run.state.replays


def test_without_kept_requests_a_rollout_waits_and_says_so() -> None:
    run = world(patience_s=600, low_traffic="replay", waits_max=2)
    run.until_end(OPEN)
    assert not any(made.act is Act.REPLAY for made in run.decisions)
    assert any("no kept request" in made.reason for made in run.decisions)
    assert run.state.phase is RolloutPhase.ROLLED_BACK


def test_skip_goes_on_without_a_verdict() -> None:
    run = world()
    run.turn(OPEN)
    run.turn(OPEN)
    run.turn(OPEN, Command.SKIP)
    assert shares(run)[-1] == 10
    assert run.turn(OPEN).act is Act.HOLD


def test_promote_waits_for_replicas_and_then_gives_everything() -> None:
    run = world()
    run.turn(OPEN)
    run.turn(OPEN)
    made = run.turn(OPEN, Command.PROMOTE)
    assert dict(made.weights)["v2"] == 500
    made = run.turn(OPEN)
    assert made.weights == (("v2", WEIGHT_SUM),)
    assert run.state.phase is RolloutPhase.BAKING


def test_resume_goes_on_where_it_was() -> None:
    run = world()
    run.turn(OPEN)
    run.turn(OPEN)
    run.turn(OPEN, Command.PAUSE)
    assert run.turn(PASS, seconds=100).act is Act.HOLD
    run.turn(OPEN, Command.RESUME)
    assert run.turn(PASS).act is Act.ADVANCE


def test_abort_ends_it_from_anywhere() -> None:
    run = world(strategy="shadow")
    run.turn(OPEN)
    run.turn(OPEN)
    assert run.turn(OPEN, Command.ABORT).state.phase is RolloutPhase.ROLLED_BACK


def test_replicas_that_never_come_end_it() -> None:
    run = world(ready_s=100)
    for _ in range(12):
        run.turn(OPEN, starts=False)
    assert run.state.phase is RolloutPhase.ROLLED_BACK
    assert "0 of 1 replicas were ready" in run.state.reason


def test_a_release_that_failed_ends_it() -> None:
    run = world()
    assert run.turn(failure="model.onnx is no ONNX file").act is Act.ROLLBACK


def test_a_candidate_without_ready_replicas_loses_its_traffic_until_one_is() -> None:
    run = world()
    run.turn(OPEN)
    run.turn(OPEN)
    run.ready["v2"] = 0
    made = run.turn(OPEN)
    assert (made.act, dict(made.weights)) == (Act.RETREAT, {"v1": WEIGHT_SUM})
    assert dict(run.turn(OPEN).weights)["v2"] == 500


def test_a_stable_release_that_is_dead_gets_no_traffic_back_before_it_is_ready() -> None:
    run = world()
    run.turn(OPEN)
    run.turn(OPEN)
    run.ready["v1"] = 0
    made = run.turn(FAIL, starts=False)
    assert (made.state.phase, dict(made.weights)["v2"]) == (RolloutPhase.ROLLING_BACK, 500)
    assert dict(made.replicas) == {"v2": 1, "v1": 4}
    assert run.turn(OPEN, starts=False).act is Act.HOLD
    run.ready["v1"] = 4
    assert run.turn(OPEN).weights == (("v1", WEIGHT_SUM),)


def test_blue_green_switches_once_and_keeps_the_old_one_whole() -> None:
    run = world(strategy="blue-green", bake_s=300)
    run.turn()
    run.turn()
    assert shares(run) == [0, 100]
    assert dict(run.decisions[-1].replicas) == {"v1": 4, "v2": 4}
    run.until_end(OPEN)
    assert run.state.phase is RolloutPhase.DONE


def test_an_ab_comparison_stays_until_somebody_ends_it() -> None:
    run = world(strategy="ab", percent=30)
    run.turn()
    for _ in range(50):
        run.turn(PASS, seconds=3600)
    assert shares(run) == [0, 30]
    run.turn(PASS, Command.PROMOTE)
    run.turn(PASS)
    assert shares(run) == [0, 30, 100]


def test_a_shadow_that_passes_becomes_a_canary() -> None:
    run = world(strategy="shadow")
    run.turn()
    made = run.turn()
    assert (made.state.mirror, dict(made.weights)) == (10, {"v1": WEIGHT_SUM})
    run.until_end(PASS)
    assert shares(run) == [0, 5, 10, 25, 50, 100]


def test_a_shadow_that_should_stop_ends_without_traffic() -> None:
    run = world(strategy="shadow", shadow={"percent": 20, "then": "stop"})
    run.until_end(PASS)
    assert (run.state.phase, shares(run)) == (RolloutPhase.DONE, [0])
    assert dict(run.decisions[-1].replicas) == {"v2": 0, "v1": 4}


def test_rolling_exchanges_one_replica_at_a_time() -> None:
    run = world(strategy="rolling", step_s=0, bake_s=0)
    run.until_end(OPEN)
    assert shares(run) == [0, 25, 50, 75, 100]


def test_recreate_stops_the_old_one_first_and_brings_it_back_when_needed() -> None:
    run = world(strategy="recreate", ready_s=60)
    made = run.turn()
    assert dict(made.replicas) == {"v2": 4, "v1": 0}
    run.ready["v2"] = 0
    for _ in range(8):
        made = run.turn(starts=False)
    assert run.state.phase is RolloutPhase.ROLLED_BACK
    assert dict(made.replicas)["v1"] == 4


def test_a_first_release_needs_no_verdict() -> None:
    policy = RolloutSpec()
    plan = plan_rollout(ground(stable_replicas=0), policy)
    state = begin("v1", None, plan, policy, START)
    made = next_step(state, RolloutFacts(candidate_ready=1, stable_ready=0), policy, START)
    assert (made.act, made.weights) == (Act.FINISH, (("v1", WEIGHT_SUM),))


def test_a_newer_release_takes_the_place_of_a_canary() -> None:
    run = world()
    run.turn(OPEN)
    run.turn(OPEN)
    ended, stable = supersede(run.state, "v3", run.now)
    assert (ended.phase, stable) == (RolloutPhase.ROLLED_BACK, "v1")


def test_a_newer_release_ends_a_bake_as_a_promotion() -> None:
    run = world(strategy="blue-green")
    run.turn()
    run.turn()
    ended, stable = supersede(run.state, "v3", run.now)
    assert (ended.phase, stable) == (RolloutPhase.DONE, "v2")
    assert supersede(ended, "v3", run.now) == (ended, "v2")


def test_a_decision_is_the_same_from_a_stored_state() -> None:
    run = world(strategy="shadow")
    adapter = TypeAdapter(RolloutState)
    for _ in range(30):
        stored = json.dumps(adapter.dump_python(run.state, mode="json"), allow_nan=False)
        facts = RolloutFacts(candidate_ready=run.ready["v2"], stable_ready=4, verdict=verdict(PASS))
        now = run.now + timedelta(seconds=30)
        again = next_step(adapter.validate_json(stored), facts, run.policy, now)
        assert run.turn(PASS, seconds=30) == again


def test_the_step_after_is_known() -> None:
    run = world()
    following = next_plan_step(run.state)
    assert following is not None
    assert following.percent == 10
