"""A host that fails takes both releases with it, and the rollout waits instead of blaming the new one."""

from typing import Any

from tests.scenario.conftest import Judged

ROLLOUT: dict[str, Any] = {"steps": [20, 100], "step_s": 5, "bake_s": 30, "gates": {"warm_up_s": 1}}


def kinds(line: Judged) -> list[str]:
    return [event.kind for event in line.control.recent_events("digits", count=500)]


def fail_both(line: Judged, for_s: int) -> None:
    """Let both releases fail, in the middle of the rollout of the second."""
    line.deploy(b"one")
    line.run()
    line.flow(60)
    line.deploy(b"two", rollout=ROLLOUT)
    line.flow(10)
    line.errors = {"v1": 1.0, "v2": 1.0}
    line.flow(for_s)


def test_a_host_that_fails_for_a_while_ends_no_rollout(judged: Judged) -> None:
    fail_both(judged, for_s=20)
    assert "rollout:rolled_back" not in kinds(judged)
    assert judged.weights() == {"v1": 80.0, "v2": 20.0}
    judged.errors = {}
    for _ in range(600):
        judged.flow(1)
        if "rollout:ended" in kinds(judged):
            break
    assert judged.weights() == {"v2": 100.0}


def test_a_release_that_goes_on_failing_after_its_host_is_rolled_back(judged: Judged) -> None:
    fail_both(judged, for_s=5)
    judged.errors = {"v2": 1.0}
    judged.flow(20)
    assert "rollout:rolled_back" in kinds(judged)
    assert judged.weights() == {"v1": 100.0}
