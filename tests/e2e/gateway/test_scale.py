"""A thousand backends of two releases, on a kernel that allows 128 inotify instances."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from prometheus_ai.domain.route import BackendRoute
from tests.e2e.gateway.rig import GatewayRig, release, route
from tests.e2e.gateway.upstream import Upstream

pytestmark = pytest.mark.e2e

BACKENDS = 1000


def _fleet(one: Upstream, two: Upstream, weight: int = 10) -> list[BackendRoute]:
    releases = (release("v1", one), release("v2", two))
    return [
        route(f"b{number:04}", *releases, weights={"v1": 100 - weight, "v2": weight})
        for number in range(BACKENDS)
    ]


def _written(gateway: GatewayRig) -> Mapping[str, tuple[int, int]]:
    files = {path.name: path.stat() for path in (gateway.settings.gateway / "xds").iterdir()}
    return {name: (found.st_ino, found.st_mtime_ns) for name, found in files.items()}


def test_a_thousand_backends_are_served_and_unchanged_files_stay(
    own_gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    fleet = _fleet(one, two)
    own_gateway.serve(*fleet)
    for name in ("b0000", "b0499", "b0999"):
        answer = own_gateway.get(f"/v2/models/{name}/ready", x_pai_release="v2")
        assert answer.headers["x-pai-release"] == f"{name}/v2"
    before = _written(own_gateway)
    own_gateway.serve(*fleet)
    assert _written(own_gateway) == before, "the same routes again write nothing"
    moved = route("b0499", *fleet[499].releases, weights={"v1": 0, "v2": 100})
    own_gateway.serve(*fleet[:499], moved, *fleet[500:])
    assert own_gateway.get("/b0499/").json()["replica"] == "two"
    after = _written(own_gateway)
    assert {name for name in after if after[name] != before[name]} == {"rds.json"}
    pid = own_gateway.envoy_pid()
    links = [link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()]
    assert links.count("anon_inode:inotify") <= 4
