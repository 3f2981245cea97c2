"""Judged rollouts from deploy to verdict, on a fake clock under simulated traffic."""

from typing import Any

import pytest

from prometheus_ai.control.requests import Asker
from prometheus_ai.domain.errors import Conflict, Refused, Unsupported
from prometheus_ai.domain.replica import ExitCause
from prometheus_ai.testing.fake_driver import Behaviour
from tests.scenario.conftest import ASKER, Judged

ROLLOUT: dict[str, Any] = {
    "step_s": 5,
    "step_requests": 20,
    "bake_s": 30,
    "gates": {"warm_up_s": 1},
}


def kinds(line: Judged) -> list[str]:
    return [event.kind for event in line.control.recent_events("digits", count=500)]


def given(line: Judged) -> list[int]:
    """Return the candidate's weight in every table that came into force."""
    routes = [route for table in line.gateway.tables for route in table.backends]
    return [dict(route.weights).get("v2", 0) for route in routes]


def start(line: Judged, **rollout: Any) -> None:
    line.deploy(b"one")
    line.run()
    line.flow(60)
    line.deploy(b"two", rollout=ROLLOUT | rollout)


def test_a_good_release_takes_over_step_by_step(judged: Judged) -> None:
    start(judged)
    seen = []
    for _ in range(4000):
        judged.flow(0.5)
        share = judged.weights().get("v2", 0.0)
        if not seen or seen[-1] != share:
            seen.append(share)
        if kinds(judged)[-1] == "rollout:ended":
            break
    assert seen == sorted(seen)
    assert [share for share in seen if share] == [5.0, 10.0, 25.0, 50.0, 100.0]
    assert judged.control.backend("digits").summary.stable == "v2"
    stepped = [e for e in judged.control.recent_events(count=500) if e.kind == "rollout:stepped"]
    assert all(event.after["evidence"] for event in stepped[1:])


def test_a_release_that_fails_every_request_is_rolled_back_within_two_seconds(
    judged: Judged,
) -> None:
    judged.errors["v2"] = 1.0
    start(judged)
    while judged.weights().get("v2", 0.0) == 0.0:
        judged.flow(0.5)
    given = judged.clock.monotonic()
    while "rollout:rolled_back" not in kinds(judged):
        judged.flow(0.5, per_s=400)
        assert judged.clock.monotonic() - given < 60
    assert judged.clock.monotonic() - given <= 2.0
    assert judged.weights() == {"v1": 100.0}


def test_a_slow_release_is_rolled_back_by_evidence(judged: Judged) -> None:
    judged.latency_s["v2"] = 0.05
    start(judged)
    for _ in range(600):
        judged.flow(0.5)
        if "rollout:rolled_back" in kinds(judged):
            break
    event = next(
        e for e in judged.control.recent_events(count=500) if e.kind == "rollout:rolled_back"
    )
    assert "latency" in str(event.after["evidence"])
    assert judged.weights() == {"v1": 100.0}


def test_a_crash_loop_of_the_candidate_rolls_back(judged: Judged) -> None:
    judged.target.behaviours["digits/v2"] = Behaviour(
        ready_after_s=0.2, exit_after_s=3.0, exit_cause=ExitCause.CRASH
    )
    start(judged)
    judged.flow(120)
    assert "rollout:rolled_back" in kinds(judged)
    assert judged.weights() == {"v1": 100.0}


def test_commands_pause_resume_and_promote(judged: Judged) -> None:
    start(judged)
    judged.flow(3)
    judged.control.rollout_command("digits", "pause", ASKER)
    paused = judged.weights()
    judged.flow(120)
    assert judged.weights() == paused
    judged.control.rollout_command("digits", "resume", ASKER)
    judged.control.promote("digits", None, ASKER)
    judged.flow(3)
    assert judged.weights() == {"v2": 100.0}


def test_a_command_is_recorded_with_its_asker_and_reason_and_nothing_after_it(
    judged: Judged,
) -> None:
    start(judged, steps=[50, 100], bake_s=0)
    judged.flow(2)
    asker = Asker(actor="ada", reason="lunch")
    judged.control.rollout_command("digits", "pause", asker)
    judged.control.rollout_command("digits", "resume", ASKER)
    for _ in range(500):
        judged.flow(2)
        if kinds(judged)[-1] == "rollout:ended":
            break
    events = [e for e in judged.control.recent_events(count=500) if "rollout" in e.kind]
    by_people = {event.reason: event.actor for event in events if event.actor == "ada"}
    assert by_people == {"paused by request; traffic stays as it is (lunch)": "ada"}
    resumed = next(i for i, event in enumerate(events) if "resumed" in event.reason)
    assert {event.actor for event in events[resumed + 1 :]} == {"control-plane"}


def test_a_rollback_by_hand_is_at_once(judged: Judged) -> None:
    start(judged)
    judged.flow(5)
    assert judged.weights()["v2"] == 5.0
    assert judged.control.rollback("digits", None, ASKER).is_in_force
    assert judged.weights() == {"v1": 100.0}
    judged.flow(30)
    assert judged.weights() == {"v1": 100.0}


def test_weights_have_one_owner_during_a_rollout(judged: Judged) -> None:
    start(judged)
    judged.flow(5)
    with pytest.raises(Conflict, match="owns the weights"):
        judged.control.route("digits", {"v1": 50, "v2": 50}, ASKER)


def test_a_rollout_goes_on_after_the_control_plane_died(judged: Judged) -> None:
    start(judged)
    judged.flow(8)
    share = judged.weights()["v2"]
    judged.restart()
    judged.flow(1)
    assert judged.weights()["v2"] >= share
    for _ in range(4000):
        judged.flow(0.5)
        if "rollout:ended" in kinds(judged):
            break
    assert judged.weights() == {"v2": 100.0}


def test_a_newer_release_supersedes_the_candidate(judged: Judged) -> None:
    start(judged)
    judged.flow(5)
    judged.deploy(b"three", rollout=ROLLOUT)
    judged.flow(5)
    weights = judged.weights()
    assert "v2" not in weights
    assert weights["v3"] == 5.0


def test_a_rollout_that_cannot_fit_is_refused_before_anything_changes(judged: Judged) -> None:
    judged.deploy(b"one", resources={"memory": "900Gi"})
    judged.run()
    with pytest.raises(Refused, match="does not fit"):
        judged.deploy(
            b"two", resources={"memory": "900Gi"}, rollout=ROLLOUT | {"without_room": "refuse"}
        )
    assert [release.version for release in judged.control.releases("digits")] == ["v1"]
    assert judged.weights() == {"v1": 100.0}


@pytest.mark.parametrize(
    ("rollout", "named"),
    [
        ({"strategy": "ab"}, "route.sticky"),
        ({"low_traffic": "replay"}, "rollout.low_traffic"),
    ],
)
def test_fields_that_would_be_ignored_are_refused(
    judged: Judged, rollout: dict[str, Any], named: str
) -> None:
    with pytest.raises(Unsupported, match=named):
        judged.deploy(b"one", rollout=rollout)


def test_blue_green_switches_at_once_and_keeps_the_old_release_through_the_bake(
    judged: Judged,
) -> None:
    start(judged, strategy="blue-green")
    judged.flow(4)
    assert judged.weights() == {"v2": 100.0}
    assert judged.served()["v1"] == 1
    judged.flow(40)
    assert kinds(judged)[-1] == "rollout:ended"


def test_an_ab_comparison_stays_on_its_share_until_asked(judged: Judged) -> None:
    judged.deploy(b"one", route={"sticky": {"header": "x-user"}})
    judged.run()
    judged.flow(60)
    judged.deploy(
        b"two",
        route={"sticky": {"header": "x-user"}},
        rollout=ROLLOUT | {"strategy": "ab", "percent": 30},
    )
    judged.flow(200)
    assert judged.weights() == {"v1": 70.0, "v2": 30.0}
    judged.control.promote("digits", None, ASKER)
    judged.flow(3)
    assert judged.weights() == {"v2": 100.0}


def test_the_way_back_is_rehearsed_on_each_step_and_changes_nothing_that_is_wanted(
    judged: Judged,
) -> None:
    start(judged)
    while judged.weights().get("v2") != 5.0:
        judged.flow(0.5)
    shares = given(judged)
    assert shares[-3:] == [500, 0, 500]
    assert kinds(judged).count("rollout:rehearsed") == 1
    rollout = judged.control.backend("digits").rollout
    assert rollout is not None
    assert rollout.flip_ms is not None
    assert any("rollback" in line for line in judged.control.why("digits").next)


def test_clients_that_stay_on_one_release_are_not_moved_for_a_rehearsal(judged: Judged) -> None:
    judged.deploy(b"one", route={"sticky": {"header": "x-user"}})
    judged.run()
    judged.deploy(b"two", route={"sticky": {"header": "x-user"}}, rollout=ROLLOUT)
    judged.flow(10)
    shares = given(judged)
    assert shares == sorted(shares)
    assert kinds(judged).count("rollout:rehearsed") == 1
