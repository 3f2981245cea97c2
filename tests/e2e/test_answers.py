"""Shadows and feedback on real processes: copies of requests, answers compared, labels joined."""

import httpx
import pytest

from tests.e2e.installation import Installation, Load, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.requires("envoy")]

ROLLOUT = {
    "shadow": {"percent": 100, "then": "stop"},
    "step_s": 1,
    "step_requests": 20,
    "patience_s": 600,
    "gates": {"warm_up_s": 0, "agreement": {"compare": "numeric", "harmful": 0.2}},
}


def ask(served: Installation, row: list[float]) -> httpx.Response:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": row}
    url = f"{served.gateway_url}/v2/models/scaling/infer"
    reply = httpx.post(url, json={"inputs": [tensor]})
    assert reply.status_code == 200
    return reply


def test_answers_are_compared_in_shadow_and_labels_judge_both_releases(
    served: Installation, load: Load
) -> None:
    client = served.client()
    # Another factor: every answer differs, though the largest score stays in its place.
    client.deploy(served.spec(3.0, rollout=ROLLOUT), wait=False)

    def shadowing() -> bool:
        return "shadowing" in " ".join(client.why("scaling")["next"])

    wait_for("the shadow", shadowing)
    first = ask(served, [2.0, 1.0])
    assert first.headers["x-pai-release"] == "scaling/v1"
    posted = httpx.post(
        f"{served.gateway_url}/scaling/feedback",
        json={"request_id": first.headers["x-request-id"], "label": 0},
    )
    assert posted.status_code == 202
    second = ask(served, [2.0, 1.0])
    told = client.feedback("scaling", [{"request_id": second.headers["x-request-id"], "label": 1}])
    assert told["judged"] + told["waiting"] >= 1

    def events() -> list[object]:
        found = client.events("scaling", limit=200)
        return [event for event in found if event["kind"] == "rollout:rolled_back"]

    (event,) = wait_for("rollback", events)
    assert "agreement" in event["reason"]
    assert set(load.by_release) == {"scaling/v1"}
    assert load.failures == []

    def judged() -> bool:
        said = served.pai("feedback", "scaling", "unknown", "--label", "1", "--json")
        return '"labelled": 2' in said.stdout

    wait_for("both labels", judged)
    # The replicas' memory of other people's answers is not for users.
    hidden = httpx.get(f"{served.gateway_url}/scaling/v2/recent", headers={"x-pai-control": "1"})
    assert hidden.status_code == 404
