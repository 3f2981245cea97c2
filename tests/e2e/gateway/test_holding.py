"""Requests for a release without a replica wait, are all answered once it has one, and never hang."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from prometheus_ai.domain.route import BackendRoute, Hold
from tests.e2e.gateway.rig import GatewayRig, release, route, wait_until
from tests.e2e.gateway.upstream import Upstream

pytestmark = pytest.mark.e2e

MANY = 40


def sleeper(*upstreams: Upstream, wait_s: float = 20.0) -> BackendRoute:
    """Return a backend whose only release holds requests while it has no replica."""
    held = release("v1", *upstreams, hold=Hold(wait_s=wait_s, start_s=7.0))
    return route("sleeper", held, weights={"v1": 100})


def ask(gateway: GatewayRig, number: int, **headers: str) -> httpx.Response:
    content = b"x" * (number * 1000)
    return httpx.post(
        f"{gateway.url}/sleeper/echo/{number}", content=content, headers=headers, timeout=30
    )


def test_many_requests_wake_once_and_are_all_answered(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(sleeper())
    # A refusal of another test may still be wishing for this release.
    wait_until(lambda: gateway.client.held(-1, 0.0).releases == (), "nobody waits")
    before = gateway.client.held(-1, 0.0)
    with ThreadPoolExecutor(MANY) as pool:
        asked = [pool.submit(ask, gateway, number) for number in range(MANY)]
        woken = gateway.client.held(before.number, 10.0)
        assert [(found.backend, found.version) for found in woken.releases] == [("sleeper", "v1")]
        wait_until(
            lambda: [r.requests for r in gateway.client.held(-1, 0.0).releases] == [MANY],
            "all of them wait",
        )
        assert gateway.client.held(-1, 0.0).number == woken.number, "one wake for all"
        gateway.serve(sleeper(one))
        answers = [one_asked.result(30) for one_asked in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-pai-release"] for answer in answers} == {"sleeper/v1"}
    sizes = sorted(answer.json()["body_size"] for answer in answers)
    assert sizes == [number * 1000 for number in range(MANY)]
    assert "x-pai-hold" not in answers[0].json()["headers"]
    wait_until(lambda: gateway.client.held(-1, 0.0).releases == (), "nobody waits any more")


def test_a_warm_release_is_reached_past_the_place_of_waiting(
    gateway: GatewayRig, one: Upstream
) -> None:
    gateway.serve(sleeper(one))
    answer = ask(gateway, 1)
    assert answer.status_code == 200
    assert "connection" not in answer.headers
    wait_until(lambda: gateway.client.held(-1, 0.0).releases == (), "nobody waits")


def test_a_chunked_body_and_a_streamed_answer_pass(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(sleeper())

    def chunked() -> Any:
        with httpx.stream(
            "POST", f"{gateway.url}/sleeper/x/events", content=iter([b"ab", b"cde"]), timeout=30
        ) as answer:
            return answer.status_code, b"".join(answer.iter_bytes())

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(chunked)
        wait_until(lambda: gateway.client.held(-1, 0.0).releases, "it waits")
        one.release_stream()
        gateway.serve(sleeper(one))
        status, body = asked.result(30)
    assert status == 200
    assert body.count(b"data: one") == 3


def test_the_deadline_ends_a_wait_with_a_time_to_come_back(gateway: GatewayRig) -> None:
    gateway.serve(sleeper(wait_s=0.3))
    answer = ask(gateway, 1)
    assert answer.status_code == 503
    assert "asleep and being woken" in answer.json()["error"]
    assert 1 <= int(answer.headers["retry-after"]) <= math.ceil(7.0)


def test_who_was_refused_is_waited_for_until_the_release_is_awake(
    gateway: GatewayRig, one: Upstream
) -> None:
    gateway.serve(sleeper(wait_s=0.3))
    assert ask(gateway, 1).status_code == 503
    assert [r.backend for r in gateway.client.held(-1, 0.0).releases] == ["sleeper"]
    gateway.serve(sleeper(one))
    wait_until(lambda: gateway.client.held(-1, 0.0).releases == (), "nobody waits")


def test_a_start_that_takes_longer_than_ever_is_waited_for_once_more(gateway: GatewayRig) -> None:
    held = release("v1", hold=Hold(wait_s=2.2, start_s=2.0))
    gateway.serve(route("sleeper", held, weights={"v1": 100}))
    assert ask(gateway, 1).headers["retry-after"] == "2"


def test_a_caller_that_leaves_frees_its_place(gateway: GatewayRig) -> None:
    gateway.serve(sleeper())
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{gateway.url}/sleeper/x", timeout=0.3)
    wait_until(lambda: gateway.client.held(-1, 0.0).releases == (), "its place is free")


def test_more_bytes_than_may_be_held_are_refused(gateway: GatewayRig) -> None:
    held = release("v1", hold=Hold(wait_s=20.0, start_s=1.0), request_bytes_max=2**28)
    gateway.serve(route("sleeper", held, weights={"v1": 100}))
    answer = httpx.post(f"{gateway.url}/sleeper/x", content=b"x" * (65 * 2**20), timeout=30)
    assert answer.status_code == 503
    assert "as many bytes" in answer.json()["error"]


def test_the_death_of_the_gateway_process_ends_waits_at_once(own_gateway: GatewayRig) -> None:
    own_gateway.serve(sleeper())
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, own_gateway, 1)
        wait_until(lambda: own_gateway.client.held(-1, 0.0).releases, "it waits")
        own_gateway.kill_gateway()
        assert asked.result(10).status_code == 503
    own_gateway.start()


def test_a_forced_release_is_held_too(gateway: GatewayRig, one: Upstream, two: Upstream) -> None:
    asleep = release("v2", hold=Hold(wait_s=20.0, start_s=1.0))
    awake = release("v2", two, hold=Hold(wait_s=20.0, start_s=1.0))
    gateway.serve(route("sleeper", release("v1", one), asleep, weights={"v1": 100}))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, gateway, 1, **{"x-pai-release": "v2"})
        wait_until(lambda: gateway.client.held(-1, 0.0).releases, "it waits")
        gateway.serve(route("sleeper", release("v1", one), awake, weights={"v1": 100}))
        assert asked.result(30).json()["replica"] == "two"
