"""Copies of requests: what Envoy is told, and when it is told nothing."""

import json
from typing import Any

import pytest

from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.route import (
    BackendRoute,
    Mirror,
    RoutedRelease,
    RoutedReplica,
    RouteTable,
)
from prometheus_ai.gateway.listener import ListenerOptions
from prometheus_ai.gateway.resources import render

OPTIONS = ListenerOptions(host="127.0.0.1", port=7080)


def release(version: str, *, is_draining: bool = False) -> RoutedRelease:
    replica = RoutedReplica(
        id=version, endpoint=Endpoint(host="127.0.0.1", port=1), is_draining=is_draining
    )
    return RoutedRelease(
        version=version, replicas=(replica,), request_timeout_s=1.0, request_bytes_max=1000
    )


def policies(mirror: Mirror | None, *releases: RoutedRelease) -> dict[str, Any]:
    """Return the mirror policies of each of the backend's routes, by the route's release or weights."""
    route = BackendRoute(
        backend="digits", weights=(("v1", 10_000),), releases=releases, mirror=mirror
    )
    files = render(RouteTable(generation=1, backends=(route,)), OPTIONS)
    (hosts,) = json.loads(files["rds.json"])["resources"]
    (host,) = [found for found in hosts["virtual_hosts"] if found["name"] == "digits"]
    return {
        found["route"].get("cluster", "weighted"): found["route"].get("request_mirror_policies")
        for found in host["routes"]
        if "route" in found
    }


def test_a_share_of_the_weighted_requests_is_copied_and_marked() -> None:
    found = policies(Mirror(version="v2", points=2000), release("v1"), release("v2"))
    assert found["digits/v1"] is None
    assert found["digits/v2"] is None
    (policy,) = found["weighted"]
    assert policy["cluster"] == "digits/v2"
    share = policy["runtime_fraction"]["default_value"]
    assert share == {"numerator": 2000, "denominator": "TEN_THOUSAND"}
    assert policy["request_headers_mutations"][0]["append"]["header"]["key"] == "x-pai-shadow"


@pytest.mark.parametrize(
    ("mirror", "releases"),
    [
        (None, (release("v1"), release("v2"))),
        (Mirror(version="v2", points=0), (release("v1"), release("v2"))),
        (Mirror(version="v2", points=500), (release("v1"),)),
        (Mirror(version="v2", points=500), (release("v1"), release("v2", is_draining=True))),
    ],
)
def test_nothing_is_copied_to_whom_nobody_named_or_who_cannot_answer(
    mirror: Mirror | None, releases: tuple[RoutedRelease, ...]
) -> None:
    assert policies(mirror, *releases)["weighted"] is None


def test_users_cannot_mark_or_ask_like_the_platform() -> None:
    text = render(RouteTable(generation=1, backends=()), OPTIONS)["lds.json"].decode()
    for name in ("x-pai-shadow", "x-pai-control"):
        assert name in text


def test_grpc_calls_are_copied_to_the_port_that_takes_them() -> None:
    def talking(version: str) -> RoutedRelease:
        endpoint = Endpoint(host="127.0.0.1", port=1, grpc_port=2)
        replica = RoutedReplica(id=version, endpoint=endpoint)
        return RoutedRelease(
            version=version, replicas=(replica,), request_timeout_s=1.0, request_bytes_max=1000
        )

    route = BackendRoute(
        backend="digits",
        weights=(("v1", 10_000),),
        releases=(talking("v1"), talking("v2")),
        mirror=Mirror(version="v2", points=2000),
    )
    files = render(RouteTable(generation=1, backends=(route,)), OPTIONS)
    (hosts,) = json.loads(files["rds.json"])["resources"]
    (host,) = [found for found in hosts["virtual_hosts"] if found["name"] == "digits"]
    copied = {
        "grpc" in found["match"]: found["route"]["request_mirror_policies"][0]["cluster"]
        for found in host["routes"]
        if found.get("route", {}).get("request_mirror_policies")
    }
    assert copied == {True: "digits/v2#grpc", False: "digits/v2"}
