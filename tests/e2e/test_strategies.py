"""Every way in which traffic moves, with every command that a person gives meanwhile, on real processes."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.e2e.installation import Installation, Load, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.requires("envoy")]

QUIET: dict[str, Any] = {
    "step_s": 0,
    "bake_s": 0,
    "gates": {"warm_up_s": 0, "latency": {"floor_ms": 5000}},
}
"""No step waits longer than its verdict does, and none is about how busy this machine is."""
PATIENT = {**QUIET, "step_s": 3600}
"""No step ends by itself."""


class Story:
    """One backend under traffic, with v1 in force and v2 on its way."""

    def __init__(self, installation: Installation, rollout: dict[str, Any], **fields: Any) -> None:
        self.installation = installation
        self._rollout = rollout
        self._fields = fields
        self.client = installation.client()
        self.client.deploy(installation.spec(2.0, **fields))
        self.url = f"{installation.gateway_url}/v2/models/scaling/infer"

    def begin(self, load: Load) -> None:
        """Deploy v2 once there is traffic to compare it with."""
        load.wait_for_more(20)
        spec = self.installation.spec(3.0, **self._fields, rollout=self._rollout)
        self.client.deploy(spec, wait=False)

    def pai(self, *words: str) -> str:
        """Give a command; it has to be taken."""
        done = self.installation.pai(*words)
        assert done.returncode == 0, done
        return done.stdout

    def weights(self) -> dict[str, float]:
        """Return the share of each release."""
        return dict(self.client.backend("scaling")["summary"]["weights"])

    def rollout(self) -> Any:
        """Return the rollout under way, or None."""
        return self.client.backend("scaling")["rollout"]

    def wait(self, what: str, is_true: Callable[[], Any]) -> Any:
        """Wait for something that the backend shows."""
        return wait_for(what, is_true)

    def ends_with(self, version: str) -> None:
        """Wait until one release has all traffic and nothing is under way."""
        self.wait(f"{version} alone", lambda: self.weights() == {version: 100.0})
        self.wait("the end", lambda: self.rollout() is None)


def test_a_canary_is_paused_resumed_skipped_and_promoted(
    installation: Installation, target: str
) -> None:
    story = Story(
        installation, {**PATIENT, "strategy": "canary", "steps": [10, 50, 100]}, target=target
    )
    with Load(url=story.url, senders=2) as load:
        story.begin(load)
        story.wait("the first step", lambda: story.weights() == {"v1": 90.0, "v2": 10.0})
        story.pai("rollout", "pause", "scaling", "--reason", "lunch")
        story.wait("a pause", lambda: "lunch" in story.pai("why", "scaling"))
        story.pai("rollout", "resume", "scaling")
        story.pai("rollout", "skip", "scaling")
        story.wait("the second step", lambda: story.weights() == {"v1": 50.0, "v2": 50.0})
        story.pai("promote", "scaling", "--to", "v2")
        story.ends_with("v2")
        load.wait_for_more(20)
    assert load.failures == []


def test_an_ab_test_keeps_its_cohorts_and_is_aborted(
    installation: Installation, target: str
) -> None:
    fields = {"target": target, "route": {"sticky": {"header": "x-user"}}}
    story = Story(installation, {**PATIENT, "strategy": "ab", "percent": 30}, **fields)

    def cohorts() -> dict[str, str]:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
        with httpx.Client(timeout=10) as client:
            answers = {
                user: client.post(story.url, json=body, headers={"x-user": user})
                for user in (f"user-{number}" for number in range(60))
            }
        return {user: answer.headers["x-pai-release"] for user, answer in answers.items()}

    with Load(url=story.url, senders=1) as load:
        story.begin(load)
        story.wait("the test", lambda: story.weights() == {"v1": 70.0, "v2": 30.0})
        before = cohorts()
        assert len(set(before.values())) == 2
        assert cohorts() == before
        story.pai("rollout", "abort", "scaling")
        story.ends_with("v1")
        load.wait_for_more(20)
    assert load.failures == []


def test_a_blue_green_switch_is_taken_back(installation: Installation, target: str) -> None:
    story = Story(installation, {**QUIET, "strategy": "blue-green", "bake_s": 3600}, target=target)
    with Load(url=story.url, senders=2) as load:
        story.begin(load)
        story.wait("the switch", lambda: story.weights() == {"v2": 100.0})
        load.wait_for_more(20)
        story.pai("rollback", "scaling", "--reason", "second thoughts")
        story.ends_with("v1")
        load.wait_for_more(20)
    assert load.failures == []


def test_a_shadow_answers_nobody_and_gives_way_to_a_newer_deploy(
    installation: Installation, target: str
) -> None:
    shadow = {"percent": 100, "then": "stop"}
    story = Story(installation, {**PATIENT, "strategy": "shadow", "shadow": shadow}, target=target)
    with Load(url=story.url, senders=2) as load:
        story.begin(load)
        story.wait("copies", lambda: (story.rollout() or {}).get("phase") == "shadowing")
        load.wait_for_more(100)
        assert set(load.by_release) == {"scaling/v1"}
        story.client.deploy(
            installation.spec(4.0, target=target, rollout={**QUIET, "strategy": "blue-green"}),
            wait=False,
        )
        story.ends_with("v3")
        load.wait_for_more(20)
    assert "scaling/v2" not in load.by_release
    assert load.failures == []


@pytest.mark.parametrize("strategy", ["recreate", "rolling"])
def test_replicas_are_exchanged(installation: Installation, target: str, strategy: str) -> None:
    story = Story(installation, {**QUIET, "strategy": strategy}, replicas=2, target=target)
    with Load(url=story.url, senders=1) as load:
        story.begin(load)
        story.ends_with("v2")
        load.wait_for_more(20)
    # Only `recreate` ends the old release before the new one runs.
    assert strategy == "recreate" or load.failures == []
