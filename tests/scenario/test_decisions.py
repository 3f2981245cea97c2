"""Every decision of a rollout is stored with what it saw, and made again from that to the same answer."""

from dataclasses import replace
from datetime import timedelta

from prometheus_ai.control.decisions import replay
from prometheus_ai.domain.decision import DecisionRecord
from tests.scenario.conftest import Judged
from tests.scenario.test_rollout import start


def stored(line: Judged) -> list[DecisionRecord]:
    with line.store.read() as reading:
        return reading.decisions("digits", line.clock.now() - timedelta(days=30), 10_000)


def test_all_decisions_of_a_good_rollout_replay_to_the_same_answer(judged: Judged) -> None:
    start(judged)
    for _ in range(3000):
        judged.flow(0.5)
        if judged.control.backend("digits").rollout is None:
            break
    found = stored(judged)
    acts = [record.act for record in found]
    assert acts.count("advance") >= 5
    assert "hold" in acts
    assert acts[-1] == "finish"
    assert [one.difference for one in map(replay, found) if not one.is_same] == []


def test_all_decisions_of_a_rolled_back_rollout_replay_to_the_same_answer(judged: Judged) -> None:
    judged.errors["v2"] = 0.5
    start(judged)
    judged.flow(60)
    found = stored(judged)
    assert found[-1].act == "rollback"
    assert all(replay(record).is_same for record in found)


def test_a_decision_with_altered_inputs_is_told_apart(judged: Judged) -> None:
    judged.errors["v2"] = 1.0
    start(judged)
    judged.flow(30)
    last = stored(judged)[-1]
    altered = replace(last, inputs=last.inputs.replace('"stable_ready":1', '"stable_ready":0'))
    assert altered != last
    assert not replay(altered).is_same
    assert replay(altered).difference


def test_a_decision_that_repeats_is_stored_once_in_a_while(judged: Judged) -> None:
    start(judged, step_s=100_000, patience_s=200_000)
    judged.flow(300)
    holds = [record for record in stored(judged) if record.act == "hold"]
    assert len(holds) < 300 / 30 + 10
