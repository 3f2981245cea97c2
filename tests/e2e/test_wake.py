"""Sleeping and waking on real processes: held requests are answered, or fail with a time to come back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.installation import Installation, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.requires("envoy", "uv", "index")]

BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]}]}
SCALING = {"min": 0, "max": 2, "idle_s": 1, "stable_s": 6, "hold_s": 20}


@pytest.fixture
def asleep(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    made.start("gateway")
    made.start("server")
    made.client().deploy(made.spec(2.0, scaling=SCALING))
    wait_for("ready", lambda: ask(made).status_code == 200)
    wait_for_sleep(made)
    yield made
    made.close()


def ask(installation: Installation) -> httpx.Response:
    url = f"{installation.gateway_url}/v2/models/scaling/infer"
    return httpx.post(url, json=BODY, timeout=60)


def wait_for_sleep(installation: Installation) -> None:
    def is_asleep() -> bool:
        found = installation.client().backend("scaling")
        return found["summary"]["state"] == "asleep" and not found["replicas"]

    wait_for("asleep", is_asleep)


def test_requests_wake_a_backend_and_are_all_answered(asleep: Installation) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = [one.result() for one in [pool.submit(ask, asleep) for _ in range(20)]]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json()["outputs"][0]["data"] == [2.0, 4.0]
    woken = [
        event
        for event in asleep.client().events("scaling", limit=200)
        if event["kind"] == "release:scaled" and event["before"]["replicas"] == 0
    ]
    assert len(woken) == 1, "one wake for all of them"
    assert asleep.client().releases("scaling")[0].starts.count >= 1


def test_a_request_held_while_the_control_plane_is_away_is_answered_when_it_returns(
    asleep: Installation,
) -> None:
    asleep.kill("server")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(ask, asleep)
        asleep.start("server")
        answer = held.result(60)
    assert answer.status_code == 200, answer.text


def test_without_a_control_plane_a_wait_ends_at_its_deadline(asleep: Installation) -> None:
    brief = {**SCALING, "hold_s": 2}
    asleep.client().deploy(asleep.spec(3.0, scaling=brief), weight=100)
    wait_for(
        "the second release",
        lambda: asleep.client().backend("scaling")["summary"]["weights"] == {"v2": 100},
    )
    wait_for_sleep(asleep)
    asleep.kill("server")
    answer = ask(asleep)
    assert answer.status_code == 503
    assert "asleep" in answer.json()["error"]
    assert int(answer.headers["retry-after"]) >= 1
    asleep.start("server")
