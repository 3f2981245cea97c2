"""What Envoy is told, and in which order."""

import json
from dataclasses import replace
from typing import Any

import pytest

from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.route import (
    BackendRoute,
    RoutedRelease,
    RoutedReplica,
    RouteTable,
)
from prometheus_ai.gateway.clusters import cluster_name, release_of, release_of_cluster, stat_name
from prometheus_ai.gateway.listener import ListenerOptions
from prometheus_ai.gateway.resources import Files, gone, node_id, render, steps

OPTIONS = ListenerOptions(host="127.0.0.1", port=7080)


def _release(version: str, *ports: int) -> RoutedRelease:
    return RoutedRelease(
        version=version,
        replicas=tuple(
            RoutedReplica(id=f"{version}-{port}", endpoint=Endpoint(host="127.0.0.1", port=port))
            for port in ports
        ),
        request_timeout_s=30.0,
        request_bytes_max=1000,
    )


def _files(*releases: RoutedRelease, weights: tuple[tuple[str, int], ...] = ()) -> Files:
    found = weights or ((releases[0].version, 10_000),)
    route = BackendRoute(backend="digits", weights=found, releases=releases)
    return render(RouteTable(generation=1, backends=(route,)), OPTIONS)


def _resources(content: bytes) -> Any:
    return json.loads(content)["resources"]


def _endpoints(files: Files) -> dict[str, list[int]]:
    return {
        found["name"]: [
            endpoint["endpoint"]["address"]["socket_address"]["port_value"]
            for endpoint in found["load_assignment"]["endpoints"][0]["lb_endpoints"]
        ]
        for found in _resources(files["cds.json"])
    }


def test_equal_tables_give_equal_bytes() -> None:
    assert _files(_release("v1", 1)) == _files(_release("v1", 1))


def test_the_version_follows_the_content() -> None:
    one, two = _files(_release("v1", 1)), _files(_release("v1", 2))
    versions = [json.loads(files["cds.json"])["version_info"] for files in (one, two)]
    assert versions[0] != versions[1]
    assert one["rds.json"] == two["rds.json"], "an endpoint is no matter of routes"
    assert one["lds.json"] == two["lds.json"]


def test_the_order_of_backends_does_not_matter() -> None:
    routes = [
        BackendRoute(backend=name, weights=(("v1", 10_000),), releases=(_release("v1", 1),))
        for name in ("a", "b")
    ]
    tables = [RouteTable(generation=1, backends=tuple(found)) for found in (routes, routes[::-1])]
    assert render(tables[0], OPTIONS) == render(tables[1], OPTIONS)


def test_a_draining_replica_is_no_endpoint() -> None:
    release = _release("v1", 1, 2)
    draining = replace(release.replicas[0], is_draining=True)
    files = _files(replace(release, replicas=(draining, release.replicas[1])))
    assert _endpoints(files) == {"digits/v1": [2]}


def test_weights_stand_in_routes_only() -> None:
    releases = (_release("v1", 1), _release("v2", 2))
    one = _files(*releases, weights=(("v1", 9000), ("v2", 1000)))
    two = _files(*releases, weights=(("v1", 1000), ("v2", 9000)))
    assert [name for name in one if one[name] != two[name]] == ["rds.json"]
    assert [list(step) for step in steps(one, two)] == [["rds.json"]]


def test_nothing_changed_means_no_step() -> None:
    files = _files(_release("v1", 1))
    assert steps(files, files) == ()


def test_a_first_start_writes_clusters_before_routes() -> None:
    order = [sorted(step) for step in steps({}, _files(_release("v1", 1)))]
    assert order == [["cds.json"], ["lds.json", "rds.json"]]


def test_a_removed_release_leaves_its_cluster_until_no_route_needs_it() -> None:
    before = _files(_release("v1", 1), _release("v2", 2))
    after = _files(_release("v2", 2), _release("v3", 3))
    first, second, third = steps(before, after)
    assert _endpoints(first) == {"digits/v1": [1], "digits/v2": [2], "digits/v3": [3]}
    assert list(second) == ["rds.json"]
    assert _endpoints(third) == {"digits/v2": [2], "digits/v3": [3]}
    assert third["cds.json"] == after["cds.json"]


def test_a_release_that_loses_all_replicas_keeps_them_until_the_routes_moved() -> None:
    before = _files(_release("v1", 1), _release("v2", 2))
    after = _files(_release("v1"), _release("v2", 2), weights=(("v2", 10_000),))
    first, second = steps(before, after)
    assert list(first) == ["rds.json"]
    assert _endpoints(second) == {"digits/v1": [], "digits/v2": [2]}


def test_gone_releases_are_known_before_the_step() -> None:
    before, after = _files(_release("v1", 1), _release("v2", 2)), _files(_release("v2", 2))
    assert gone(before, after) == {("digits", "v1")}
    assert gone(after, before) == frozenset()
    assert gone(before, {"rds.json": after["rds.json"]}) == frozenset()
    assert gone({}, after) == frozenset()


def test_the_node_id_names_the_bootstrap() -> None:
    files = _files(_release("v1", 1))
    assert node_id(files) == json.loads(files["bootstrap.json"])["node"]["id"]


@pytest.mark.parametrize("version", ["v1", "v2.1.5", "2024-01-01", "a_b.c"])
def test_a_release_is_found_again_by_its_names(version: str) -> None:
    assert release_of(stat_name("digits", version)) == ("digits", version)
    assert release_of_cluster(cluster_name("digits", version)) == ("digits", version)
    assert "." not in stat_name("digits", version)
    assert release_of("foreign") is None
