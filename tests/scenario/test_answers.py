"""Labels, outputs and shadows: rollouts judged by what releases answer, on a fake clock."""

import random
from typing import Any

import pytest
import structlog

from prometheus_ai.domain.answers import Feedback
from prometheus_ai.domain.errors import InvalidInput, NotFound, Unavailable, Unsupported
from prometheus_ai.domain.evidence import Sample
from tests.scenario.conftest import Judged

ROLLOUT: dict[str, Any] = {
    "step_s": 5,
    "step_requests": 20,
    "bake_s": 30,
    "gates": {"warm_up_s": 1},
}


def right_or_wrong(accuracy: float) -> Any:
    def label(chance: random.Random) -> int:
        return 7 if chance.random() < accuracy else chance.choice([1, 4, 9])

    return label


def kinds(line: Judged) -> list[str]:
    return [event.kind for event in line.control.recent_events("digits", count=500)]


def start(line: Judged, **rollout: Any) -> None:
    line.deploy(b"one")
    line.run()
    line.flow(60)
    gates = ROLLOUT["gates"] | rollout.pop("gates", {})
    line.deploy(b"two", rollout=ROLLOUT | rollout | {"gates": gates})


def say(line: Judged, share: float, since: int) -> int:
    """Post the truth about a share of the requests since one of them."""
    ids = line.asked[since :: round(1 / share)]
    for place in range(0, len(ids), 1000):
        said = [Feedback(request_id=i, label=(7,)) for i in ids[place : place + 1000]]
        line.control.feedback("digits", said)
    return len(line.asked)


def ended(line: Judged, kind: str) -> Any:
    return next(e for e in line.control.recent_events("digits", count=500) if e.kind == kind)


def test_a_release_that_is_wrong_more_often_is_rolled_back_within_500_labels(
    judged: Judged,
) -> None:
    judged.label = {"v1": right_or_wrong(0.95), "v2": right_or_wrong(0.75)}
    start(judged, steps=[50, 100], step_requests=100_000, patience_s=100_000)
    since = len(judged.asked)
    for _ in range(600):
        judged.flow(1)
        since = say(judged, 0.1, since)
        if "rollout:rolled_back" in kinds(judged):
            break
    event = ended(judged, "rollout:rolled_back")
    assert "accuracy" in event.reason
    labelled = {each.version: each.labelled for each in judged.answers.accuracy("digits")}
    assert labelled["v2"] <= 500
    assert judged.weights() == {"v1": 100.0}


def test_without_labels_there_is_no_pass_where_accuracy_is_required(judged: Judged) -> None:
    start(judged, gates={"accuracy": {"required": True}}, steps=[50, 100])
    judged.flow(200)
    assert judged.weights()["v2"] == 50.0
    since = len(judged.asked)
    for _ in range(100):
        judged.flow(5)
        since = say(judged, 0.5, since)
        if judged.weights()["v2"] > 50.0:
            break
    assert judged.weights()["v2"] == 100.0


def test_feedback_is_judged_also_when_it_comes_before_its_answer(judged: Judged) -> None:
    judged.deploy(b"one")
    judged.run()
    judged.flow(10)
    newest = f"r{len(judged.asked)}"
    taken = judged.control.feedback("digits", [Feedback(request_id=newest, label=(7,))])
    assert (taken.judged, taken.waiting) == (0, 1)
    judged.flow(10)
    found = judged.answers.accuracy("digits")
    assert [(each.version, each.labelled, each.wrong) for each in found] == [("v1", 1, 0)]


def test_feedback_needs_a_backend_and_one_word(judged: Judged) -> None:
    judged.deploy(b"one")
    with pytest.raises(NotFound):
        judged.control.feedback("nothing", [Feedback(request_id="a", score=1.0)])
    with pytest.raises(InvalidInput, match="either label or score"):
        judged.control.feedback("digits", [Feedback(request_id="a")])


def test_answers_survive_the_control_plane(judged: Judged) -> None:
    judged.deploy(b"one")
    judged.run()
    judged.flow(20)
    judged.restart()
    judged.flow(1)
    said = [Feedback(request_id="r3", score=0.0)]
    assert judged.control.feedback("digits", said).releases[0].wrong == 1
    assert judged.control.feedback("digits", said).repeated == 1


def test_a_release_with_other_answers_is_rolled_back_by_their_distribution(
    judged: Judged,
) -> None:
    judged.label = {"v1": right_or_wrong(0.6), "v2": right_or_wrong(0.2)}
    start(judged, steps=[50, 100], gates={"outputs": {}})
    for _ in range(600):
        judged.flow(1)
        if "rollout:rolled_back" in kinds(judged):
            break
    assert "outputs" in ended(judged, "rollout:rolled_back").reason


def test_scores_are_compared_in_bins_of_the_old_release(judged: Judged) -> None:
    judged.label = {"v1": lambda c: c.gauss(0, 1), "v2": lambda c: c.gauss(1, 1)}
    start(judged, steps=[50, 100], gates={"outputs": {}})
    for _ in range(600):
        judged.flow(1)
        if "rollout:rolled_back" in kinds(judged):
            break
    assert "outputs" in ended(judged, "rollout:rolled_back").reason


def test_equal_outputs_pass(judged: Judged) -> None:
    judged.label = {"v1": right_or_wrong(0.6), "v2": right_or_wrong(0.6)}
    start(judged, steps=[50, 100], gates={"outputs": {}})
    for _ in range(2000):
        judged.flow(1)
        if kinds(judged)[-1] == "rollout:ended":
            break
    assert judged.weights() == {"v2": 100.0}


SHADOW = {"shadow": {"percent": 80}, "gates": {"agreement": {"compare": "label"}}}


def test_a_shadow_gets_no_traffic_until_its_answers_agree(judged: Judged) -> None:
    judged.label = {"v1": right_or_wrong(1.0), "v2": right_or_wrong(1.0)}
    start(judged, **SHADOW)
    judged.flow(5)
    assert judged.weights() == {"v1": 100.0}
    route = judged.gateway.table.backends[0]
    assert route.mirror is not None
    assert (route.mirror.version, route.mirror.points) == ("v2", 8000)
    for _ in range(1000):
        judged.flow(1)
        if judged.weights().get("v2"):
            break
    assert judged.weights()["v2"] == 5.0
    assert judged.gateway.table.backends[0].mirror is None
    stepped = [e for e in judged.control.recent_events(count=500) if e.kind == "rollout:stepped"]
    gates = {gate["gate"] for gate in stepped[-1].after["evidence"]["gates"]}
    assert "agreement" in gates


@pytest.mark.parametrize("compare", ["exact", "numeric", "label"])
def test_a_shadow_that_disagrees_is_rolled_back_and_no_user_saw_it(
    judged: Judged, compare: str
) -> None:
    judged.label = {"v1": right_or_wrong(1.0), "v2": right_or_wrong(0.8)}
    start(judged, shadow={"percent": 20}, gates={"agreement": {"compare": compare}})
    seen = set()
    for _ in range(600):
        judged.flow(1)
        seen.add(judged.weights().get("v2", 0.0))
        if "rollout:rolled_back" in kinds(judged):
            break
    assert "agreement" in ended(judged, "rollout:rolled_back").reason
    assert seen == {0.0}
    assert judged.gateway.table.backends[0].mirror is None


def test_a_shadow_that_fails_is_rolled_back_at_once(judged: Judged) -> None:
    judged.errors = {"v2": 1.0}
    start(judged, strategy="shadow")
    judged.flow(20)
    assert "rollout:rolled_back" in kinds(judged)
    assert judged.weights() == {"v1": 100.0}


def test_a_shadow_may_be_all_that_was_asked_for(judged: Judged) -> None:
    start(judged, strategy="shadow", shadow={"percent": 100, "then": "stop"})
    for _ in range(1000):
        judged.flow(1)
        if kinds(judged)[-1] == "rollout:ended":
            break
    assert judged.weights() == {"v1": 100.0}
    assert judged.gateway.table.backends[0].mirror is None


def test_low_traffic_adds_copies_of_requests(judged: Judged) -> None:
    start(judged, low_traffic="shadow", patience_s=20, steps=[5, 100])
    for _ in range(60):
        judged.flow(1, per_s=4)
        if judged.gateway.table.backends[0].mirror is not None:
            break
    mirror = judged.gateway.table.backends[0].mirror
    assert mirror is not None
    assert mirror.points == 10_000
    assert judged.weights()["v2"] == 5.0


@pytest.mark.parametrize(
    ("rollout", "named"),
    [
        ({"low_traffic": "replay"}, "rollout.low_traffic"),
        ({"gates": {"agreement": {}}}, "rollout.gates.agreement"),
        ({"strategy": "recreate", "shadow": {"percent": 5}}, "rollout.shadow"),
        ({"gates": {"means": [{"name": "beauty"}]}}, "beauty"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    judged: Judged, rollout: dict[str, Any], named: str
) -> None:
    with pytest.raises(Unsupported, match=named):
        judged.deploy(b"one", rollout=rollout)


def test_a_bad_replica_is_replaced_and_the_version_goes_on(judged: Judged) -> None:
    judged.deploy(b"one", replicas=4)
    judged.run()
    judged.flow(60)
    rollout = ROLLOUT | {"steps": [50, 100], "patience_s": 100_000}
    judged.deploy(b"two", replicas=4, rollout=rollout)
    for _ in range(100):
        judged.flow(1)
        if judged.served().get("v2", 0) >= 2 and judged.weights().get("v2"):
            break
    judged.bad_replica = next(
        replica.id
        for release in judged.gateway.table.backends[0].releases
        if release.version == "v2"
        for replica in release.replicas
    )
    for _ in range(900):
        judged.flow(1)
        if kinds(judged)[-1] == "rollout:ended":
            break
    assert judged.weights() == {"v2": 100.0}
    drained = ended(judged, "replica:drained")
    assert drained.after["replica"] == judged.bad_replica
    assert "failures come from" in drained.reason


def test_a_slower_queue_fails_a_mean(judged: Judged) -> None:
    judged.queue_s = {"v2": 0.02}
    gate = {"name": "queue_s", "tolerated": 0.1, "harmful": 0.5}
    start(judged, steps=[50, 100], gates={"means": [gate]})
    for _ in range(300):
        judged.flow(1)
        if "rollout:rolled_back" in kinds(judged):
            break
    assert "queue_s" in ended(judged, "rollout:rolled_back").reason


def test_a_release_that_costs_more_fails_its_cost(judged: Judged) -> None:
    judged.compute_s = {"v2": 0.004}
    start(judged, steps=[50, 100], gates={"means": [{"name": "cost_per_1k"}]})
    for _ in range(600):
        judged.flow(1)
        if "rollout:rolled_back" in kinds(judged):
            break
    event = ended(judged, "rollout:rolled_back")
    assert "cost_per_1k" in event.reason


METRIC = {
    "name": "refused",
    "query": 'sum(refused{release="$backend/$candidate"})',
    "max": 5,
    "failures": 2,
}
QUERY = 'sum(refused{release="digits/v2"})'


def test_an_own_metric_out_of_bounds_rolls_back(judged: Judged) -> None:
    judged.queries.samples[QUERY] = Sample(value=6.0)
    start(judged, gates={"metrics": [METRIC]})
    for _ in range(60):
        judged.flow(1)
        if "rollout:rolled_back" in kinds(judged):
            break
    reason = ended(judged, "rollout:rolled_back").reason
    assert "refused" in reason
    assert "2 of 2 readings in a row" in reason


@pytest.mark.parametrize(
    "missing",
    [
        Sample(problem="the query gives no series"),
        Sample(problem="the query gives NaN"),
        Unavailable("the database cannot be reached"),
    ],
)
def test_an_own_metric_that_is_missing_lets_nothing_pass(judged: Judged, missing: Any) -> None:
    judged.queries.samples[QUERY] = missing
    start(judged, steps=[50, 100], gates={"metrics": [METRIC]})
    judged.flow(120)
    assert judged.weights()["v2"] == 50.0
    (verdict,) = [line for line in judged.control.why("digits").next if "verdict" in line]
    assert "refused insufficient" in verdict
    judged.queries.samples[QUERY] = Sample(value=0.0)
    judged.flow(60)
    assert judged.weights()["v2"] == 100.0


def test_own_metrics_need_a_database(judged: Judged) -> None:
    judged.plane.database = None
    with pytest.raises(Unsupported, match="PAI_PROMETHEUS_URL"):
        judged.deploy(b"one", rollout={"gates": {"metrics": [METRIC]}})


def test_clients_that_reuse_request_ids_cost_a_candidate_nothing(judged: Judged) -> None:
    judged.label = {"v1": right_or_wrong(0.5), "v2": right_or_wrong(0.5)}
    judged.request_id = "always-the-same"
    start(judged, shadow={"percent": 100}, gates={"agreement": {"compare": "exact"}})
    judged.flow(60)
    assert "rollout:rolled_back" not in kinds(judged)
    lines = " ".join(judged.control.why("digits").running)
    assert "their request id was used more than once" in lines


def test_a_shadow_goes_on_after_the_control_plane_died(judged: Judged) -> None:
    start(judged, shadow={"percent": 50})
    judged.flow(5)
    judged.restart()
    judged.flow(2)
    mirror = judged.gateway.table.backends[0].mirror
    assert mirror is not None
    assert mirror.version == "v2"
    assert judged.weights() == {"v1": 100.0}


@pytest.mark.parametrize("failing", ["writing", "everything"])
def test_rollouts_go_on_while_no_answer_can_be_remembered(judged: Judged, failing: str) -> None:
    start(judged, steps=[50, 100])
    judged.answers.failing = failing
    for _ in range(400):
        judged.flow(1)
        if "rollout:ended" in kinds(judged):
            break
    assert judged.weights() == {"v2": 100.0}
    lines = judged.control.why("digits").running
    assert any("could not be written" in line for line in lines)
    assert any("the log of answers fails: no" in line for line in lines)
    judged.answers.failing = ""
    judged.flow(10)
    since = len(judged.asked)
    judged.flow(5)
    judged.flow(5)
    say(judged, 0.5, since)
    lines = judged.control.why("digits").running
    assert any("labelled answers are right" in line for line in lines)
    assert not any("the log of answers fails" in line for line in lines)


def test_who_gives_feedback_is_told_that_it_was_not_kept(judged: Judged) -> None:
    start(judged)
    judged.answers.failing = "writing"
    with pytest.raises(Unavailable):
        judged.control.feedback("digits", [Feedback(request_id="r1", label=(7,))])


def test_a_log_that_fails_every_other_time_is_said_less_and_less_often(judged: Judged) -> None:
    start(judged)
    with structlog.testing.capture_logs() as said:
        for _ in range(10):
            judged.answers.failing = "writing"
            judged.flow(2)
            judged.answers.failing = ""
            judged.flow(2)
    assert [one["times"] for one in said if one["event"] == "answers_failed"] == [1, 2, 4, 8]
    assert [one["times"] for one in said if one["event"] == "answers_work_again"] == [1, 2, 4, 8]
