"""Replicas follow demand, on a fake clock under simulated load."""

from typing import Any

import pytest

from prometheus_ai.control.autoscale.tick import Autoscaler
from prometheus_ai.control.loop.passes import reconcile_once
from prometheus_ai.domain.errors import Conflict, Unsupported
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


@pytest.mark.parametrize("field", ["min", "cpu", "memory"])
def test_fields_that_would_be_ignored_are_refused(line: Line, field: str) -> None:
    with pytest.raises(Unsupported, match=f"scaling.{field}"):
        line.deploy(scaling={field: 0 if field == "min" else 50})
