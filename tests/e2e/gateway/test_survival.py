"""What the gateway outlives: each part is killed while traffic runs."""

import os
import signal
from pathlib import Path

import pytest

from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.route import BackendRoute
from tests.e2e.gateway.load import Load
from tests.e2e.gateway.rig import GatewayRig, release, route, wait_until
from tests.e2e.gateway.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture
def pair(one: Upstream, two: Upstream) -> BackendRoute:
    return route("pair", release("v1", one, two), weights={"v1": 100})


def test_the_death_of_the_gateway_process_costs_nothing(
    own_gateway: GatewayRig, pair: BackendRoute
) -> None:
    own_gateway.serve(pair)
    pid = own_gateway.envoy_pid()
    with Load(f"{own_gateway.url}/pair/") as load:
        wait_until(lambda: load.answered > 50, "traffic before")
        own_gateway.kill_gateway()
        assert not own_gateway.client.status().is_serving
        with pytest.raises(Unavailable):
            own_gateway.client.read()
        before = load.answered
        wait_until(lambda: load.answered > before + 100, "traffic without the gateway process")
        own_gateway.start()
        before = load.answered
        wait_until(lambda: load.answered > before + 50, "traffic after")
    assert load.lost == {}
    status = own_gateway.client.status()
    assert status.data_plane_pid == pid, "the running Envoy was adopted"
    assert status.generation == own_gateway.table.generation
    assert own_gateway.publish(pair).accepted, "tables are taken again"


def test_a_killed_envoy_is_back_with_its_table(own_gateway: GatewayRig, pair: BackendRoute) -> None:
    own_gateway.serve(pair)
    for restarts in (1, 2):
        os.kill(own_gateway.envoy_pid(), signal.SIGKILL)
        wait_until(
            lambda count=restarts: own_gateway.client.status().data_plane_restarts == count,
            "the death is noticed",
        )
        # The budget of 2 s is a promise to users, not a measure of this machine's speed.
        wait_until(lambda: own_gateway.client.status().is_serving, "Envoy serves", within_s=2.0)
        assert own_gateway.post("/pair/").status_code == 200
    assert own_gateway.publish(pair).accepted


def test_an_adopted_envoy_is_watched_too(own_gateway: GatewayRig, pair: BackendRoute) -> None:
    own_gateway.serve(pair)
    own_gateway.kill_gateway()
    own_gateway.start()
    os.kill(own_gateway.envoy_pid(), signal.SIGKILL)
    wait_until(lambda: own_gateway.client.status().data_plane_restarts == 1, "it is noticed")
    wait_until(lambda: own_gateway.client.status().is_serving, "Envoy serves")
    assert own_gateway.post("/pair/").status_code == 200


def test_everything_dead_comes_back_with_the_last_good_table(
    own_gateway: GatewayRig, pair: BackendRoute
) -> None:
    own_gateway.serve(pair)
    pid = own_gateway.envoy_pid()
    own_gateway.kill_gateway()
    os.kill(pid, signal.SIGKILL)
    own_gateway.start()
    assert own_gateway.client.status().generation == own_gateway.table.generation
    assert own_gateway.post("/pair/").status_code == 200


def test_a_killed_replica_costs_only_what_it_was_answering(
    own_gateway: GatewayRig, pair: BackendRoute, two: Upstream
) -> None:
    own_gateway.serve(pair)
    with Load(f"{own_gateway.url}/pair/") as load:
        wait_until(lambda: load.answered > 100, "traffic before")
        two.kill()
        before = load.answered
        wait_until(lambda: load.answered > before + 300, "traffic after")
    assert load.lost.keys() <= {"503"}
    assert sum(load.lost.values()) <= 4, "no more than were under way"


def test_a_killed_replica_costs_idempotent_requests_nothing(
    own_gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    released = release("v1", one, two, is_idempotent=True)
    own_gateway.serve(route("pair", released, weights={"v1": 100}))
    with Load(f"{own_gateway.url}/pair/") as load:
        wait_until(lambda: load.answered > 100, "traffic before")
        two.kill()
        before = load.answered
        wait_until(lambda: load.answered > before + 300, "traffic after")
    assert load.lost == {}


def test_no_request_is_lost_while_routes_replicas_and_releases_change(
    own_gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    first, second = release("v1", one), release("v2", two)
    shapes = [
        route("move", first, weights={"v1": 100}),
        route("move", first, second, weights={"v1": 100, "v2": 0}),
        route("move", first, second, weights={"v1": 90, "v2": 10}),
        route("move", release("v1", one, two), second, weights={"v1": 50, "v2": 50}),
        route("move", first, second, weights={"v1": 0, "v2": 100}),
        # The old release loses its last replica in the same table that moves its traffic.
        route("move", release("v1"), second, weights={"v2": 100}),
        route("move", second, weights={"v2": 100}),
        route("move", first, weights={"v1": 100}),
    ]
    own_gateway.serve(shapes[0])
    with Load(f"{own_gateway.url}/move/") as load:
        for turn in range(40):
            own_gateway.serve(shapes[turn % len(shapes)])
            before = load.answered
            wait_until(lambda seen=before: load.answered > seen + 10, "traffic goes on")
    assert load.lost == {}
    assert load.releases.keys() == {"move/v1", "move/v2"}


def test_sigterm_finishes_requests_and_ends_both_processes(
    own_gateway: GatewayRig, pair: BackendRoute, one: Upstream, two: Upstream
) -> None:
    own_gateway.serve(pair)
    pid = own_gateway.envoy_pid()
    with Load(f"{own_gateway.url}/pair/sleep/500", threads=1) as load:
        wait_until(lambda: one.requests + two.requests == 1, "a request is under way")
        load.stop()
        assert own_gateway.process is not None
        own_gateway.process.terminate()
        assert own_gateway.process.wait(timeout=20) == 0
    assert load.statuses == {"200": 1}
    assert not Path(f"/proc/{pid}").exists()


def test_sigterm_ends_soon_under_steady_traffic(
    own_gateway: GatewayRig, pair: BackendRoute
) -> None:
    own_gateway.serve(pair)
    with Load(f"{own_gateway.url}/pair/sleep/20") as load:
        wait_until(lambda: load.answered > 50, "traffic before")
        assert own_gateway.process is not None
        own_gateway.process.terminate()
        assert own_gateway.process.wait(timeout=8) == 0
        load.stop()
    # Refused is told at once and can be sent elsewhere; broken off would be a lost request.
    assert load.lost.keys() <= {"ConnectError"}


def test_sighup_ends_the_gateway_process_and_leaves_envoy(
    own_gateway: GatewayRig, pair: BackendRoute
) -> None:
    own_gateway.serve(pair)
    pid = own_gateway.envoy_pid()
    assert own_gateway.process is not None
    own_gateway.process.send_signal(signal.SIGHUP)
    assert own_gateway.process.wait(timeout=20) == 0
    assert own_gateway.post("/pair/").status_code == 200
    own_gateway.start()
    assert own_gateway.envoy_pid() == pid


def test_a_second_gateway_on_the_same_home_is_refused(own_gateway: GatewayRig) -> None:
    second = own_gateway.spawn()
    assert second.wait(timeout=20) != 0
    assert "another gateway" in own_gateway.log.read_text()
    assert own_gateway.client.status().is_serving


def test_a_table_that_was_being_applied_is_taken_after_a_crash(
    own_gateway: GatewayRig, pair: BackendRoute
) -> None:
    own_gateway.serve(pair)
    own_gateway.kill_gateway()
    folder = own_gateway.settings.gateway
    newer = (folder / "table.json").read_text().replace('"generation":1', '"generation":7')
    (folder / "table.pending.json").write_text(newer)
    own_gateway.start()
    assert own_gateway.client.status().generation == 7
    assert not (folder / "table.pending.json").exists()


def test_an_unreadable_table_is_set_aside_and_traffic_goes_on(
    own_gateway: GatewayRig, pair: BackendRoute
) -> None:
    own_gateway.serve(pair)
    pid = own_gateway.envoy_pid()
    own_gateway.kill_gateway()
    os.kill(pid, signal.SIGKILL)
    stored = own_gateway.settings.gateway / "table.json"
    stored.write_text('{"generation": 3, "backe')
    own_gateway.start()
    assert own_gateway.post("/pair/").status_code == 200
    assert stored.with_suffix(".unreadable").exists()
    assert own_gateway.client.status().generation == 0
    assert own_gateway.publish(pair).accepted


def test_a_home_with_a_very_long_path_works(tmp_path: Path, one: Upstream) -> None:
    rig = GatewayRig(tmp_path / ("a-long-name-" * 8) / "home")
    assert len(str(rig.settings.gateway_socket)) > 108
    rig.start()
    rig.serve(route("far", release("v1", one), weights={"v1": 100}))
    assert rig.post("/far/").status_code == 200
    rig.close()


def test_a_full_disk_leaves_the_former_table_in_force(
    own_gateway: GatewayRig, pair: BackendRoute
) -> None:
    own_gateway.serve(pair)
    # A folder where the draft must go stands for every reason that a file cannot be written.
    blocker = own_gateway.settings.gateway / "table.pending.draft"
    blocker.mkdir()
    with pytest.raises(Unavailable, match="cannot write"):
        own_gateway.publish(pair)
    assert own_gateway.post("/pair/").status_code == 200
    blocker.rmdir()
    assert own_gateway.publish(pair).accepted
