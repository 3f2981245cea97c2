"""From a route table to the files that Envoy reads, and the order to put them in force."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_ai.domain.route import RouteTable
from prometheus_ai.gateway.bootstrap import bootstrap
from prometheus_ai.gateway.clusters import cluster, release_of_cluster
from prometheus_ai.gateway.listener import ListenerOptions, listener
from prometheus_ai.gateway.routes import route_configuration

Files = Mapping[str, bytes]
"""Content by file name: ``bootstrap.json``, ``cds.json``, ``lds.json``, ``rds.json``."""

_VERSION_CHARS = 16


def render(table: RouteTable, options: ListenerOptions) -> Files:
    """Return every file for a table; equal tables give equal bytes."""
    clusters = [
        cluster(route.backend, release)
        for route in sorted(table.backends, key=lambda route: route.backend)
        for release in route.releases
    ]
    return {
        "bootstrap.json": json.dumps(bootstrap(), indent=1).encode(),
        "cds.json": _response(clusters),
        "rds.json": _response([route_configuration(table)]),
        "lds.json": _response([listener(options)]),
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
    widened = wanted["cds.json"] if both == list(after.values()) else _response(both)
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
    return frozenset(release_of_cluster(name) for name in names - kept)


def node_id(files: Files) -> str:
    """Return the node id in the bootstrap, which tells one bootstrap from another."""
    found: str = json.loads(files["bootstrap.json"])["node"]["id"]
    return found


def _can_answer(found: dict[str, Any]) -> bool:
    return bool(found["load_assignment"]["endpoints"][0]["lb_endpoints"])


def _resources(content: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(content)["resources"] if content else []
    return found


def _response(resources: list[dict[str, Any]]) -> bytes:
    body = json.dumps(resources, separators=(",", ":"))
    version = hashlib.sha256(body.encode()).hexdigest()[:_VERSION_CHARS]
    return f'{{"version_info":"{version}","resources":{body}}}'.encode()
