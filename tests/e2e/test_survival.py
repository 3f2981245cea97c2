"""What must survive, on real processes, under load. Each test states one promise."""

import os
import random
import signal
import sqlite3
import time

import pytest

from prometheus_ai.domain.errors import PlatformError
from tests.e2e.installation import Installation, Load, wait_for

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
    wait_for("traffic", lambda: __import__("httpx").get(url).status_code == 200, 5)
    assert time.monotonic() - started < 2.0


def test_a_gateway_that_restarts_without_a_control_plane_serves_its_last_table(
    served: Installation, load: Load
) -> None:
    served.kill("server")
    served.kill("gateway")
    load.wait_for_more(20)
    pid = int((served.home / "gateway" / "envoy.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
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
        for _ in range(3):
            wait_for("two replicas", lambda: len(served.replica_pids()) == 2)
            os.kill(next(iter(served.replica_pids().values())), signal.SIGKILL)
            load.wait_for_more(30)
    assert load.failures == []


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
    with sqlite3.connect(served.home / "state" / "pai.db") as database:
        tables = [
            name
            for (name,) in database.execute("select name from sqlite_master where type='table'")
        ]
        table = next(name for name in tables if "audit" in name and "record" in name)
        database.execute(f"update {table} set content = replace(content, 'deploy', 'depl0y')")
    served.start("server")
    done = served.pai("audit", "verify")
    assert done.returncode != 0
    assert "edited" in done.stdout + done.stderr


def test_a_taken_port_is_named(served: Installation) -> None:
    other = served.environ | {"PAI_HOME": str(served.root / "other")}
    done = __import__("subprocess").run(
        [__import__("sys").executable, "-m", "prometheus_ai.cli.main", "server"],
        env=other, text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert other["PAI_API_PORT"] in done.stderr
