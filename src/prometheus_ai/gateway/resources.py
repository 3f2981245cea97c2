"""From a route table to the files that Envoy reads, and the order to put them in force."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from prometheus_ai.domain.route import BackendRoute, RoutedRelease, RouteTable
from prometheus_ai.gateway.bootstrap import bootstrap
from prometheus_ai.gateway.clusters import cluster, grpc_cluster, release_of_cluster
from prometheus_ai.gateway.grpc import as_grpc
from prometheus_ai.gateway.listener import ListenerOptions, listener
from prometheus_ai.gateway.routes import everything_else, route_configuration, virtual_host

Files = Mapping[str, bytes]
"""Content by file name: ``bootstrap.json``, ``cds.json``, ``lds.json``, ``rds.json``."""

_VERSION_CHARS = 16
_KEPT = 8192


def render(table: RouteTable, options: ListenerOptions) -> Files:
    """Return every file for a table; equal tables give equal bytes."""
    backends = sorted(table.backends, key=lambda route: route.backend)
    clusters = [
        text
        for route in backends
        for release in route.releases
        for text in _clusters(route.backend, release)
    ]
    hosts = [_text(everything_else(backends)), *map(_virtual_host, backends)]
    head = _text(route_configuration()).removesuffix("}")
    return {
        "bootstrap.json": json.dumps(bootstrap(), indent=1).encode(),
        "cds.json": _response(clusters),
        "rds.json": _response([f'{head},"virtual_hosts":[{",".join(hosts)}]}}']),
        "lds.json": _response([_text(listener(options))]),
    }


def steps(current: Files, wanted: Files) -> Sequence[Files]:
    """Return the writes that lead from one set of files to another without a gap, in order.

    First clusters and endpoints are added, then routes change, then what no route uses goes.
    Each step must be in force before the next one is written. Unchanged files are in no step.
    """
    if current.get("cds.json") == wanted["cds.json"]:
        return _changes(current, ({name: wanted[name] for name in ("lds.json", "rds.json")},))
    before = {found["name"]: found for found in _resources(current.get("cds.json", b""))}
    after = {found["name"]: found for found in _resources(wanted["cds.json"])}
    both = [before[name] for name in before if name not in after] + [
        before[name] if name in before and not _can_answer(found) else found
        for name, found in after.items()
    ]
    unchanged = both == list(after.values())
    widened = wanted["cds.json"] if unchanged else _response([_text(found) for found in both])
    return _changes(
        current,
        (
            {"cds.json": widened},
            {"lds.json": wanted["lds.json"], "rds.json": wanted["rds.json"]},
            {"cds.json": wanted["cds.json"]},
        ),
    )


def _changes(current: Files, wanted: Sequence[Files]) -> Sequence[Files]:
    reached = dict(current)
    plan: list[Files] = []
    for step in wanted:
        changed = {name: text for name, text in step.items() if reached.get(name) != text}
        reached |= changed
        if changed:
            plan.append(changed)
    return tuple(plan)


def gone(current: Files, wanted: Files) -> frozenset[tuple[str, str]]:
    """Return backend and version of the clusters that ``current`` has and ``wanted`` has not.

    Nothing is gone when either of them says nothing about clusters.
    """
    if "cds.json" not in current or "cds.json" not in wanted:
        return frozenset()
    if current["cds.json"] == wanted["cds.json"]:
        return frozenset()
    names, kept = (
        {found["name"] for found in _resources(files["cds.json"])} for files in (current, wanted)
    )
    kept_releases = {release_of_cluster(name) for name in kept}
    return frozenset(release_of_cluster(name) for name in names) - kept_releases


def node_id(files: Files) -> str:
    """Return the node id in the bootstrap, which tells one bootstrap from another."""
    found: str = json.loads(files["bootstrap.json"])["node"]["id"]
    return found


# A change touches few of many backends, so the text of the others is kept. See decision 0004.
@lru_cache(maxsize=_KEPT)
def _clusters(backend: str, release: RoutedRelease) -> tuple[str, ...]:
    found = [cluster(backend, release)]
    alone = BackendRoute(backend=backend, weights=(), releases=(release,))
    found += [grpc_cluster(backend, one) for one in as_grpc(alone).releases]
    return tuple(_text(one) for one in found)


@lru_cache(maxsize=_KEPT)
def _virtual_host(route: BackendRoute) -> str:
    return _text(virtual_host(route))


def _can_answer(found: dict[str, Any]) -> bool:
    return bool(found["load_assignment"]["endpoints"][0]["lb_endpoints"])


def _resources(content: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(content)["resources"] if content else []
    return found


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _response(resources: Sequence[str]) -> bytes:
    body = f"[{','.join(resources)}]"
    version = hashlib.sha256(body.encode()).hexdigest()[:_VERSION_CHARS]
    return f'{{"version_info":"{version}","resources":{body}}}'.encode()
