"""Replicas follow demand, on a fake clock under simulated load."""

from datetime import UTC, datetime
from typing import Any

import pytest

from prometheus_ai.control.autoscale.tick import Autoscaler
from prometheus_ai.control.decisions import replay
from prometheus_ai.control.loop.passes import reconcile_once
from prometheus_ai.domain.errors import Conflict, Unavailable, Unsupported
from prometheus_ai.domain.evidence import Sample
from prometheus_ai.domain.profile import ModelProfile
from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.testing.fake_driver import Behaviour
from prometheus_ai.testing.fake_query import FakeQuery
from tests.scenario.conftest import ASKER, Line

SCALING: dict[str, Any] = {"min": 1, "max": 8, "concurrency": 2, "stable_s": 10, "down_s": 30}


def flow(line: Line, scaler: Autoscaler, active: int, seconds: float) -> None:
    """Hold that many requests in flight for a while."""
    passed = 0.0
    while passed < seconds:
        line.gateway.occupy("digits", "v1", active=active)
        line.gateway.count("digits", "v1", requests=max(1, active), latency_s=0.05)
        line.clock.advance(1.0)
        passed += 1.0
        scaler.tick()
        reconcile_once(line.plane)


@pytest.fixture
def scaled(line: Line) -> Line:
    line.deploy(scaling=SCALING)
    line.run()
    return line


def test_a_burst_is_followed_up_and_later_down(scaled: Line) -> None:
    scaler = Autoscaler(plane=scaled.plane)
    flow(scaled, scaler, active=1, seconds=30)
    assert scaled.served() == {"v1": 1}
    flow(scaled, scaler, active=9, seconds=30)
    burst = scaled.served()["v1"]
    assert burst >= 6
    flow(scaled, scaler, active=1, seconds=180)
    assert scaled.served() == {"v1": 1}
    reasons = [e for e in scaled.control.recent_events(count=500) if e.kind == "release:scaled"]
    assert all(event.actor == "autoscaler" and event.after["parts"] for event in reasons)


def test_silence_never_shrinks(scaled: Line) -> None:
    scaler = Autoscaler(plane=scaled.plane)
    flow(scaled, scaler, active=9, seconds=30)
    before = scaled.served()
    scaled.gateway.is_reachable = False
    for _ in range(600):
        scaled.clock.advance(1.0)
        scaler.tick()
    scaled.gateway.is_reachable = True
    assert scaled.served() == before


def test_a_new_autoscaler_does_not_shrink_on_lost_history(scaled: Line) -> None:
    flow(scaled, Autoscaler(plane=scaled.plane), active=9, seconds=30)
    before = scaled.served()
    flow(scaled, Autoscaler(plane=scaled.plane), active=1, seconds=5)
    assert scaled.served() == before


def test_counts_have_one_owner(scaled: Line) -> None:
    with pytest.raises(Conflict, match="policy"):
        scaled.control.scale("digits", 3, None, ASKER)


SLEEPY: dict[str, Any] = {**SCALING, "min": 0, "idle_s": 20, "hold_s": 15}


@pytest.fixture
def sleepy(line: Line) -> Line:
    line.deploy(scaling=SLEEPY)
    line.run()
    return line


def idle(line: Line, scaler: Autoscaler, seconds: float) -> None:
    """Let time pass without a request."""
    line.gateway.occupy("digits", "v1", active=0)
    passed = 0.0
    while passed < seconds:
        line.clock.advance(1.0)
        passed += 1.0
        scaler.await_requests()
        scaler.tick()
        reconcile_once(line.plane)


def test_an_idle_release_sleeps_and_its_requests_are_held(sleepy: Line) -> None:
    scaler = Autoscaler(plane=sleepy.plane)
    idle(sleepy, scaler, 60)
    assert sleepy.served() == {"v1": 0}
    assert sleepy.weights() == {"v1": 100}
    held = sleepy.gateway.table.backends[0].releases[0].hold
    assert held is not None
    assert held.wait_s == 15
    assert sleepy.control.backend("digits").summary.state == "asleep"


def test_requests_that_wait_wake_it_once(sleepy: Line) -> None:
    scaler = Autoscaler(plane=sleepy.plane)
    idle(sleepy, scaler, 60)
    starts = len(sleepy.driver.calls)
    sleepy.gateway.hold("digits", "v1", 30)
    for _ in range(5):
        scaler.await_requests()
    assert [call[0] for call in sleepy.driver.calls[starts:]] == ["start"]
    reconcile_once(sleepy.plane)
    assert sleepy.served() == {"v1": 1}
    sleepy.gateway.hold("digits", "v1", 0)
    idle(sleepy, scaler, 15)
    assert sleepy.served() == {"v1": 1}, "its idle time began anew"
    idle(sleepy, scaler, 30)
    assert sleepy.served() == {"v1": 0}


def test_a_new_control_plane_wakes_what_is_waited_for(sleepy: Line) -> None:
    idle(sleepy, Autoscaler(plane=sleepy.plane), 60)
    sleepy.gateway.hold("digits", "v1", 3)
    sleepy.restart()
    scaler = Autoscaler(plane=sleepy.plane)
    scaler.tick()
    scaler.await_requests()
    reconcile_once(sleepy.plane)
    assert sleepy.served() == {"v1": 1}


def test_nothing_sleeps_while_the_gateway_does_not_say_that_it_holds(sleepy: Line) -> None:
    scaler = Autoscaler(plane=sleepy.plane)
    sleepy.gateway.occupy("digits", "v1", active=0)
    for _ in range(120):
        sleepy.clock.advance(1.0)
        scaler.tick()
        reconcile_once(sleepy.plane)
    assert sleepy.served() == {"v1": 1}


def test_a_quick_request_between_two_samples_keeps_it_awake(sleepy: Line) -> None:
    scaler = Autoscaler(plane=sleepy.plane)
    for _ in range(8):
        sleepy.gateway.count("digits", "v1", requests=1)
        idle(sleepy, scaler, 10)
    assert sleepy.served() == {"v1": 1}


def test_a_sleeping_release_is_woken_for_traffic_that_is_to_move_to_it(sleepy: Line) -> None:
    scaler = Autoscaler(plane=sleepy.plane)
    sleepy.deploy(b"other", weight=0, scaling=SLEEPY)
    sleepy.run()
    sleepy.control.route("digits", {"v2": 100}, ASKER)
    sleepy.run()
    idle(sleepy, scaler, 40)
    sleepy.control.route("digits", {"v1": 100}, ASKER)
    idle(sleepy, scaler, 5)
    assert sleepy.weights() == {"v1": 100}


def test_cold_starts_are_remembered_across_a_restart(sleepy: Line) -> None:
    sleepy.target.behaviours["digits/v1"] = Behaviour(ready_after_s=4.0)
    scaler = Autoscaler(plane=sleepy.plane)
    idle(sleepy, scaler, 60)
    sleepy.gateway.hold("digits", "v1", 1)
    scaler.await_requests()
    for _ in range(6):
        sleepy.clock.advance(1.0)
        scaler.tick()
        reconcile_once(sleepy.plane)
    sleepy.restart()
    reconcile_once(sleepy.plane)
    held = sleepy.gateway.table.backends[0].releases[0].hold
    assert held is not None
    assert held.start_s == 4.0


@pytest.mark.parametrize(("cores", "replicas"), [(0.9, 4), (0.1, 1)])
def test_replicas_follow_their_cpu(line: Line, cores: float, replicas: int) -> None:
    scaling = {"min": 1, "max": 4, "cpu": 50, "stable_s": 10, "down_s": 10}
    line.deploy(scaling=scaling, resources={"cpu": 1})
    line.driver.cores = cores
    line.run()
    flow(line, Autoscaler(plane=line.plane), active=1, seconds=60)
    assert line.served() == {"v1": replicas}


def test_unmeasured_cpu_never_shrinks(line: Line) -> None:
    line.deploy(scaling={"min": 1, "max": 4, "cpu": 50, "stable_s": 10, "down_s": 10})
    line.driver.cores = 0.9
    line.run()
    scaler = Autoscaler(plane=line.plane)
    flow(line, scaler, active=1, seconds=60)
    before = line.served()
    line.driver.cores = 0.0
    line.driver.failures["usage"] = Unavailable("the engine is away")
    flow(line, scaler, active=1, seconds=120)
    assert line.served() == before


def test_every_decision_can_be_made_again(scaled: Line) -> None:
    flow(scaled, Autoscaler(plane=scaled.plane), active=9, seconds=30)
    with scaled.store.read() as reading:
        stored = reading.decisions("digits", datetime.min.replace(tzinfo=UTC), 100)
    assert any(record.act == "scale" for record in stored)
    assert all(replay(record).is_same for record in stored)


def test_fields_that_would_be_ignored_are_refused(line: Line) -> None:
    line.plane.database = None
    with pytest.raises(Unsupported, match=r"scaling\.metrics"):
        line.deploy(scaling={"metrics": [{"name": "depth", "per_replica": 5}]})


def test_cold_starts_are_shown_item_by_item(sleepy: Line) -> None:
    scaler = Autoscaler(plane=sleepy.plane)
    idle(sleepy, scaler, 60)
    starts = sleepy.control.releases("digits")[0].starts
    assert starts is not None
    assert starts.count == 1
    assert "a start takes" in sleepy.control.why("digits").wanted[1]
    assert "asleep" in sleepy.control.why("digits").wanted[1]


DEPTH: dict[str, Any] = {"name": "depth", "query": "depth{b='$backend/$release'}", "per_replica": 5}


def asking(line: Line, scaler: Autoscaler, seconds: int) -> None:
    """Let time pass, with what another loop asks for."""
    for _ in range(seconds):
        scaler.asking.tick()
        flow(line, scaler, active=0, seconds=1)


@pytest.fixture
def followed(line: Line) -> tuple[Line, FakeQuery]:
    database = FakeQuery()
    line.plane.database = database
    line.deploy(scaling={"min": 1, "max": 8, "stable_s": 10, "down_s": 10, "metrics": [DEPTH]})
    line.run()
    return line, database


def test_replicas_follow_an_own_metric(followed: tuple[Line, FakeQuery]) -> None:
    line, database = followed
    query = "depth{b='digits/v1'}"
    database.samples[query] = Sample(value=21.0)
    scaler = Autoscaler(plane=line.plane)
    asking(line, scaler, 20)
    assert line.served() == {"v1": 5}
    database.samples[query] = Unavailable("the database is away")
    asking(line, scaler, 120)
    assert line.served() == {"v1": 5}, "what is unknown never shrinks"
    database.samples[query] = Sample(value=3.0)
    asking(line, scaler, 120)
    assert line.served() == {"v1": 1}


class Slow:
    """Replicas learned that they answer ten single requests a second, and no more together."""

    def profile(self, endpoint: Endpoint, name: str) -> ModelProfile:
        """Return it."""
        del endpoint, name
        return ModelProfile(curve=((1, 0.1), (2, 0.2)), batches=100)


def test_what_replicas_learned_of_their_speed_decides_how_many_there_are(line: Line) -> None:
    line.plane.profiles = Slow()
    line.deploy(scaling={"min": 1, "max": 8, "stable_s": 10})
    line.run()
    scaler = Autoscaler(plane=line.plane)
    scaler.asking.tick()
    held, per_s = scaler.asking.speeds["digits", "v1"]
    assert (held, per_s) == (1.0, 10.0)
    flow(line, scaler, active=4, seconds=30)
    assert line.served()["v1"] > 4
