"""A judged rollout on real processes and real traffic."""

import pytest

from tests.e2e.installation import Installation, Load, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.requires("envoy")]

ALWAYS_FAILS = """
class Model:
    signature = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    }
    answered = 0

    def load(self, path):
        pass

    def predict(self, x):
        if x.any():
            raise RuntimeError("this release fails every request but the warm-up")
        return x
"""


def test_a_release_that_fails_every_request_is_rolled_back_by_itself(
    served: Installation, load: Load
) -> None:
    client = served.client()
    spec = served.python_spec("scaling", ALWAYS_FAILS, rollout={"gates": {"warm_up_s": 0}})
    client.deploy(spec, wait=False)

    def rolled_back() -> list[object]:
        return [
            event
            for event in client.events("scaling", limit=100)
            if event["kind"] == "rollout:rolled_back"
        ]

    (event,) = wait_for("rollback", rolled_back)
    assert "failed" in event["reason"] or "succeeded" in event["reason"]
    assert event["after"]["evidence"]["outcome"] == "fail"
    wait_for(
        "stable at 100 %",
        lambda: client.backend("scaling")["summary"]["weights"] == {"v1": 100.0},
    )
    failed_before = len(load.failures)
    assert failed_before > 0
    load.wait_for_more(50)
    assert len(load.failures) == failed_before
    assert client.backend("scaling")["rollout"] is None
