"""What people see of a rollout: its schedule, its course, its decisions."""

from pathlib import Path
from typing import Any

import pytest

from prometheus_ai.control.loop.measure import Meter
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.spec import ModelSpec, Spec
from tests.scenario.conftest import Judged
from tests.scenario.test_exchange import Tight, tight  # noqa: F401
from tests.scenario.test_rollout import ROLLOUT, start


class Measured(Judged):
    """A line whose traffic is kept in windows."""

    def restart(self) -> None:
        """Lose memory, and measure on."""
        super().restart()
        self.meter = Meter(plane=self.plane)

    def flow(self, seconds: float, per_s: int = 40, step_s: float = 0.5) -> None:
        """Let time pass, and read the gateway's counters."""
        passed = 0.0
        while passed < seconds:
            super().flow(step_s, per_s, step_s)
            passed += step_s
            self.meter.read_once()


@pytest.fixture
def judged(tmp_path: Path) -> Measured:
    return Measured(tmp_path)


def spec(**fields: Any) -> Spec:
    return Spec(**{"name": "digits", "model": ModelSpec(path="m.onnx", engine="onnx"), **fields})


def test_a_plan_rests_on_measured_traffic(judged: Judged) -> None:
    judged.deploy(b"one")
    judged.run()
    judged.flow(60)
    plan = judged.control.plan(spec(rollout=ROLLOUT))
    assert [step.percent for step in plan.steps] == [5, 10, 25, 50, 100]
    assert [step.what for step in plan.steps][-1] == "bake"
    assert 30 < plan.rate_per_s < 50
    assert plan.requests_to_decide > 100
    first = plan.steps[0]
    assert first.at_least_s == 5
    assert 5 < first.expected_s <= plan.requests_to_decide / (plan.rate_per_s * 0.05) + 1
    assert judged.control.releases("digits")[-1].version == "v1"


def test_a_plan_without_a_rollout_section_says_so(judged: Judged) -> None:
    judged.deploy(b"one")
    judged.run()
    assert any("no rollout section" in note for note in judged.control.plan(spec()).notes)


def test_the_plan_of_a_backend_is_that_of_the_rollout_under_way(judged: Judged) -> None:
    start(judged)
    plan = judged.control.plan_of("digits")
    assert (plan.candidate, plan.stable) == ("v2", "v1")
    with pytest.raises(NotFound, match="no backend"):
        judged.control.plan_of("other")


def test_a_plan_that_does_not_fit_says_why(tight: Tight) -> None:  # noqa: F811
    tight.deploy(b"one", replicas=4)
    tight.run()
    tight.flow(30)
    plan = tight.control.plan(spec(replicas=4, rollout=ROLLOUT))
    assert "no room" in plan.refusal
    recreate = tight.control.plan(spec(replicas=4, rollout=ROLLOUT | {"strategy": "recreate"}))
    assert recreate.is_in_place
    assert recreate.steps[0].rollback_s > 0


def test_the_course_of_a_rollout_has_evidence_weights_and_traffic_over_time(
    judged: Judged,
) -> None:
    start(judged)
    judged.flow(60)
    course = judged.control.course("digits")
    assert course.phase == "stepping"
    assert {series.version for series in course.series} == {"v1", "v2"}
    assert len(course.trace) > 20
    assert course.trace[-1].gates
    assert course.events[0].kind in {"release:created", "rollout:begun"}
    assert course.decisions
    judged.restart()
    assert len(judged.control.course("digits").trace) > 20


def test_the_course_stays_after_the_end_and_its_size_is_bounded(judged: Judged) -> None:
    judged.errors["v2"] = 1.0
    start(judged)
    judged.flow(60)
    course = judged.control.course("digits")
    assert course.phase == "rolled_back"
    assert course.ended_at is not None
    assert len(course.trace) <= 240


def test_decisions_are_listed_and_replayed(judged: Judged) -> None:
    start(judged)
    judged.flow(20)
    listed = judged.control.decisions("digits")
    assert {decision.decider for decision in listed} == {"plan", "rollout"}
    detail = judged.control.decision("digits", listed[-1].id)
    assert detail.inputs["state"]["candidate"] == "v2"
    assert all(one.is_same for one in judged.control.replay_decisions("digits", None))
    with pytest.raises(NotFound, match="no decision 999"):
        judged.control.decision("digits", 999)
