"""What the gateway counted, read through both processes."""

import os
import signal
from collections import Counter

import pytest

from prometheus_ai.domain.window import ReleaseCounters
from tests.e2e.gateway.rig import GatewayRig, release, route, wait_until
from tests.e2e.gateway.upstream import Upstream

pytestmark = pytest.mark.e2e


def _counters(gateway: GatewayRig, backend: str, version: str = "v1") -> ReleaseCounters:
    found = {(c.backend, c.version): c for c in gateway.client.read().releases}
    return found[(backend, version)]


def test_requests_are_counted_for_their_release(
    gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    gateway.serve(
        route("tally", release("v1", one), release("v2.0", two), weights={"v1": 50, "v2.0": 50})
    )
    seen = Counter(gateway.post("/tally/").json()["replica"] for _ in range(40))
    assert _counters(gateway, "tally").requests == seen["one"]
    assert _counters(gateway, "tally", "v2.0").requests == seen["two"]


def test_errors_are_told_apart(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(route("kinds", release("v1", one, request_timeout_s=0.2), weights={"v1": 100}))
    for path in ("status/200", "status/422", "status/500", "status/503", "sleep/3000", "abort"):
        gateway.post(f"/kinds/{path}")
    counted = _counters(gateway, "kinds")
    assert (counted.requests, counted.errors, counted.client_errors) == (6, 4, 1)
    assert counted.rejected == 0


def test_retries_are_not_requests(gateway: GatewayRig, one: Upstream, two: Upstream) -> None:
    gateway.serve(route("again", release("v1", one, two), weights={"v1": 100}))
    two.kill()
    for _ in range(10):
        assert gateway.post("/again/").status_code == 200
    counted = _counters(gateway, "again")
    assert (counted.requests, counted.errors) == (10, 0)
    assert counted.retries > 0


def test_latency_is_measured_in_seconds(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(route("timed", release("v1", one), weights={"v1": 100}))
    for _ in range(3):
        gateway.post("/timed/sleep/120")
    latency = _counters(gateway, "timed").latency_s
    assert latency.count == 3
    assert 0.115 < (latency.quantile(0.5) or 0) < 1.0


def test_active_requests_are_seen(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(route("now", release("v1", one), weights={"v1": 100}))
    with gateway.http.stream("POST", "/now/events", content=b"{}"):
        wait_until(lambda: _counters(gateway, "now").active == 1, "the request is seen")
        one.release_stream()
    wait_until(lambda: _counters(gateway, "now").active == 0, "its end is seen")


def test_counts_of_a_removed_release_are_kept(gateway: GatewayRig, one: Upstream) -> None:
    routed = route("leaver", release("v1", one), weights={"v1": 100})
    gateway.serve(routed)
    for _ in range(5):
        gateway.post("/leaver/")
    gateway.serve()
    assert _counters(gateway, "leaver").requests == 5
    gateway.serve(routed)
    for _ in range(7):
        gateway.post("/leaver/")
    counted = _counters(gateway, "leaver")
    assert counted.requests == 12
    assert counted.latency_s.count == 12


def test_a_new_envoy_is_a_new_epoch(own_gateway: GatewayRig, one: Upstream) -> None:
    own_gateway.serve(route("life", release("v1", one), weights={"v1": 100}))
    own_gateway.post("/life/")
    first = own_gateway.client.read()
    os.kill(own_gateway.envoy_pid(), signal.SIGKILL)
    wait_until(lambda: own_gateway.client.status().data_plane_restarts == 1, "it is noticed")
    wait_until(lambda: own_gateway.client.status().is_serving, "Envoy serves")
    own_gateway.post("/life/")
    second = own_gateway.client.read()
    assert first.epoch != second.epoch
    assert [found.requests for found in second.releases] == [1]


def test_a_new_gateway_process_reads_the_same_epoch(own_gateway: GatewayRig, one: Upstream) -> None:
    own_gateway.serve(route("life", release("v1", one), weights={"v1": 100}))
    own_gateway.post("/life/")
    first = own_gateway.client.read()
    own_gateway.kill_gateway()
    own_gateway.start()
    second = own_gateway.client.read()
    assert first.epoch == second.epoch
    assert first.releases == second.releases
