"""``pai up`` and ``pai down`` on real processes."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Installation, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.requires("envoy")]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Installation]:
    """Yield an installation that is not started."""
    made = Installation(tmp_path)
    try:
        yield made
    finally:
        made.close()


def pids(home: Installation) -> dict[str, int]:
    records = (home.home / "run" / "processes").glob("*.json")
    found = [json.loads(path.read_text()) for path in records]
    return {one["name"]: one["pid"] for one in found}


def test_up_serves_survives_kills_and_goes_down_whole(home: Installation) -> None:
    up = home.pai("up", "--detach")
    assert up.returncode == 0, up.stderr
    assert home.gateway_url in up.stdout
    first = pids(home)
    assert set(first) == {"supervisor", "server", "gateway"}
    assert (home.home / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert home.pai("status").returncode == 0
    again = home.pai("up", "--detach")
    assert (again.returncode, pids(home)) == (0, first)

    home.client().deploy(home.spec())
    for name in ("server", "gateway"):
        os.kill(first[name], signal.SIGKILL)
    wait_for("new processes", lambda: len(set(pids(home).items()) - set(first.items())) == 2)
    wait_for("answers", lambda: home.client().version() and home.gateway_is_live())
    assert home.client().predict("scaling", [[1.0, 2.0]])["y"] == [[2.0, 4.0]]

    (replica,) = home.replica_pids().values()
    down = home.pai("down")
    assert down.returncode == 0, down.stderr
    assert "supervisor" in down.stdout
    assert not Path(f"/proc/{replica}").exists()
    assert home.pai("down").stdout.startswith("nothing of")


def test_down_can_leave_replicas_which_up_adopts(home: Installation) -> None:
    assert home.pai("up", "--detach").returncode == 0
    home.client().deploy(home.spec())
    before = home.replica_pids()
    assert home.pai("down", "--keep-replicas").returncode == 0
    assert all(Path(f"/proc/{pid}").exists() for pid in before.values())
    assert home.pai("up", "--detach").returncode == 0
    wait_for("the same replica", lambda: home.replica_pids() == before)
    assert home.client().predict("scaling", [[1.0, 2.0]])["y"] == [[2.0, 4.0]]


def test_a_taken_port_is_said_at_once_and_nothing_is_left_running(home: Installation) -> None:
    (home.root / "other").mkdir()
    blocker = Installation(home.root / "other")
    try:
        assert blocker.pai("up", "--detach").returncode == 0
        home.environ["PAI_GATEWAY_PORT"] = blocker.environ["PAI_GATEWAY_PORT"]
        refused = home.pai("up", "--detach")
        assert refused.returncode == 9
        assert "PAI_GATEWAY_PORT" in refused.stderr
        assert pids(home) == {}
        assert blocker.pai("status").returncode == 0
    finally:
        blocker.close()
