"""What must survive, on real processes, under load. Each test states one promise."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from prometheus_ai.domain.errors import PlatformError
from tests.e2e.installation import READY_TIMEOUT_S, Installation, Load, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.requires("envoy")]


def in_force(installation: Installation) -> dict[str, float]:
    return dict(installation.client().backend("scaling")["summary"]["weights"])


def test_killing_the_control_plane_at_random_moments_loses_nothing(
    served: Installation, load: Load
) -> None:
    """SIGKILL in a loop of deploys and route changes: no failed request, consistent state, convergence."""
    rng = random.Random(11)
    versions = ["v1"]
    for turn in range(6):
        client = served.client()
        try:
            if turn % 2 == 0:
                deployed = client.deploy(served.spec(3.0 + turn), weight=20, wait=False)
                versions.append(deployed["version"])
            else:
                client.promote("scaling", versions[-1])
        except PlatformError:
            pass  # the kill may come first; what was asked may or may not have happened
        time.sleep(rng.uniform(0.0, 0.8))
        served.kill("server")
        load.wait_for_more(30)
        served.start("server")
    client = served.client()
    wait_for("convergence", lambda: not _differs(served))
    assert load.failures == []
    assert client.audit_verify()["is_intact"]
    replicas = client.backend("scaling")["replicas"]
    assert len({replica["pid"] for replica in replicas}) == len(replicas)
    load.wait_for_more(20)


def _differs(installation: Installation) -> bool:
    summary = installation.client().backend("scaling")["summary"]
    return summary["weights"] != summary["weights_wanted"] or summary["state"] != "ready"


def test_a_killed_envoy_is_back_within_two_seconds(served: Installation) -> None:
    url = f"{served.gateway_url}/v2/models/scaling/ready"
    pid = served.client().status()["gateway_pid"]
    os.kill(pid, signal.SIGKILL)
    started = time.monotonic()
    wait_for("traffic", lambda: httpx.get(url).status_code == 200, 5)
    assert time.monotonic() - started < 2.0


def test_a_gateway_that_restarts_without_a_control_plane_serves_its_last_table(
    served: Installation, load: Load
) -> None:
    data_plane = served.client().status()["gateway_pid"]
    served.kill("server")
    served.kill("gateway")
    load.wait_for_more(20)
    os.kill(data_plane, signal.SIGKILL)
    served.start("gateway")
    load.failures.clear()
    load.wait_for_more(20)
    assert load.failures == []
    served.start("server")


def test_a_killed_replica_of_two_costs_only_what_was_inside_it(
    served: Installation, load: Load
) -> None:
    victim, pid = next(iter(served.replica_pids().items()))
    os.kill(pid, signal.SIGKILL)
    wait_for(
        "a new replica",
        lambda: victim not in served.replica_pids() and len(served.replica_pids()) == 2,
    )
    load.wait_for_more(50)
    assert len(load.failures) <= load.senders


def test_a_killed_replica_costs_idempotent_requests_nothing(served: Installation) -> None:
    url = f"{served.gateway_url}/v2/models/scaling/infer"
    with Load(url=url, headers={"idempotency-key": "any"}) as load:
        load.wait_for_more(20)
        killed: set[int] = set()
        for _ in range(3):
            pids = wait_for("two other replicas", lambda: _ready_pids(served, without=killed))
            load.wait_for_more(20)  # the gateway hears of the new replica right after it is ready
            killed.add(pids[0])
            os.kill(pids[0], signal.SIGKILL)
            load.wait_for_more(30)
    assert load.failures == []


def _ready_pids(installation: Installation, *, without: set[int]) -> list[int]:
    """Return the two ready replicas' processes, once there are two that were not killed."""
    replicas = installation.client().backend("scaling")["replicas"]
    pids = [
        replica["pid"]
        for replica in replicas
        if replica["phase"] == "ready" and replica["ready_at"]
    ]
    return pids if len(pids) == 2 and not without & set(pids) else []


def test_a_rolled_back_release_flips_without_a_lost_request(
    served: Installation, load: Load
) -> None:
    client = served.client()
    client.deploy(served.spec(5.0), weight=10)
    for _ in range(10):
        assert client.promote("scaling", "v2")["is_in_force"]
        assert client.rollback("scaling")["is_in_force"]
    load.wait_for_more(20)
    assert load.failures == []
    assert in_force(served) == {"v1": 100.0}


def test_scaling_down_under_load_drains(served: Installation, load: Load) -> None:
    client = served.client()
    client.scale("scaling", 3)
    wait_for("three replicas", lambda: client.backend("scaling")["summary"]["replicas_ready"] == 3)
    client.scale("scaling", 1)
    wait_for("one replica", lambda: len(client.backend("scaling")["replicas"]) == 1)
    load.wait_for_more(50)
    assert load.failures == []


def test_deleting_a_backend_leaves_the_others_untouched(served: Installation, load: Load) -> None:
    client = served.client()
    client.deploy(served.spec(7.0, name="other"))
    client.delete("other")
    wait_for("deletion", lambda: [b["name"] for b in client.status()["backends"]] == ["scaling"])
    load.wait_for_more(50)
    assert load.failures == []


def test_a_corrupted_database_is_named_and_traffic_goes_on(
    served: Installation, load: Load
) -> None:
    served.kill("server")
    database = served.home / "state" / "pai.db"
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    database.write_bytes(b"not a database" * 1000)
    done = served.pai("server")
    assert done.returncode != 0
    assert str(database) in done.stderr
    load.wait_for_more(50)
    assert load.failures == []


def test_an_edited_audit_record_is_found_and_named(served: Installation) -> None:
    served.kill("server")
    with closing(sqlite3.connect(served.home / "state" / "pai.db")) as database, database:
        edit = "update audit_records set event = replace(event, 'deploy', 'depl0y')"
        assert database.execute(edit + " where position = 3").rowcount == 1
    served.start("server")
    done = served.pai("audit", "verify")
    assert done.returncode != 0
    assert "edited" in done.stdout + done.stderr


def test_a_taken_port_is_named(served: Installation) -> None:
    port = served.environ["PAI_API_PORT"]
    other = Installation(served.root / "other")
    other.environ["PAI_API_PORT"] = port
    done = other.pai("server")
    assert done.returncode != 0
    assert port in done.stderr


def test_a_second_control_plane_on_one_home_is_refused(served: Installation) -> None:
    done = served.pai("server")
    assert done.returncode != 0
    assert "PAI_API_PORT" in done.stderr or "home folder" in done.stderr


HANGS = """
import time

class Model:
    signature = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    }

    def load(self, path):
        time.sleep(3600)

    def predict(self, x):
        return x
"""

DIES = """
import os

class Model:
    signature = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    }
    answered = 0

    def load(self, path):
        pass

    def predict(self, x):
        self.answered += len(x)
        if self.answered > 300:
            os._exit(13)
        return x
"""


def test_a_model_that_hangs_while_loading_fails_its_release_alone(
    served: Installation, load: Load
) -> None:
    client = served.client()
    # Long enough for a busy machine to import what the server needs, so that the load is what hangs; and when
    # the control plane notices first after all, it tries again, and must not wait out a long drain each time.
    spec = served.python_spec("hanging", HANGS, timeouts={"startup_s": 6, "drain_s": 1})
    client.deploy(spec, wait=False)

    def failed() -> str:
        releases = client.releases("hanging")
        return str(releases[0]["failure"]) if releases[0]["phase"] == "failed" else ""

    # Whoever notices first says so: the model server (startup_s) or the control plane (startup_timeout).
    assert "startup_" in wait_for("failure", failed, 2 * READY_TIMEOUT_S)
    assert client.backend("hanging")["summary"]["state"] == "failed"
    assert any(" 6 s" in d["why"] for d in client.why("hanging")["differences"])
    wait_for("no replica of it", lambda: client.backend("hanging")["replicas"] == [])
    load.wait_for_more(30)
    assert load.failures == []


def test_a_model_that_dies_under_load_is_named_restarted_and_harms_no_other(
    served: Installation, load: Load
) -> None:
    client = served.client()
    client.deploy(served.python_spec("dying", DIES))
    with Load(url=f"{served.gateway_url}/v2/models/dying/infer", senders=2):
        wait_for("two deaths", lambda: client.releases("dying")[0]["restarts_24h"] >= 2)
        reasons = [event["after"].get("code") for event in client.events("dying", limit=50)]
        assert 13 in reasons
    wait_for("it is back", lambda: client.backend("dying")["summary"]["replicas_ready"] == 1)
    load.wait_for_more(30)
    assert load.failures == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a disk of 8 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    place = tmp_path / "small-disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_refuses_the_deploy_and_nothing_else(
    small_disk: Path, served: Installation, load: Load
) -> None:
    client = served.client()
    artefacts = served.home / "artefacts"
    served.kill("server")
    shutil.copytree(artefacts, small_disk, dirs_exist_ok=True)
    shutil.rmtree(artefacts)
    artefacts.symlink_to(small_disk)
    served.start("server")
    client = served.client()
    big = served.root / "big.onnx"
    big.write_bytes(os.urandom(20 * 2**20))
    with pytest.raises(PlatformError, match=r"(?i)disk|space"):
        client.deploy({"name": "big", "model": {"path": str(big), "engine": "onnx"}})
    assert [backend["name"] for backend in client.status()["backends"]] == ["scaling"]
    assert shutil.disk_usage(small_disk).free > 2**20
    load.wait_for_more(30)
    assert load.failures == []
