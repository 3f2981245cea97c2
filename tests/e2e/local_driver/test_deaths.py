"""Whatever dies, no replica is doubled, orphaned or forgotten."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prometheus_ai.domain.replica import ExitCause, ReplicaPhase
from tests.contract.local_target import LocalTarget

pytestmark = pytest.mark.e2e

STARTER = """
import sys
from pathlib import Path
from tests.contract.local_target import LocalTarget
target = LocalTarget(Path(sys.argv[1]))
print("open", flush=True)
for name in sys.argv[2:]:
    target.driver.start(target.order_plan(name, {}))
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def target(tmp_path: Path) -> Iterator[LocalTarget]:
    made = LocalTarget(tmp_path)
    yield made
    made.close()


def test_a_replica_survives_the_control_plane(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    with _control_plane(tmp_path, pytestconfig, "a") as process:
        _hear(process, "started")
        process.kill()
    target = LocalTarget(tmp_path)
    before = target.until_phase("a", ReplicaPhase.READY)
    assert before.pid is not None
    assert _is_running(before.pid)
    target.driver.stop("a", 5)
    assert target.until_phase("a", ReplicaPhase.EXITED).exit.cause is ExitCause.STOPPED  # type: ignore[union-attr]
    target.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_control_plane_killed_while_starting_leaves_nothing_unknown(
    tmp_path: Path, pytestconfig: pytest.Config, seed: int
) -> None:
    """Kill it at random moments; every server then belongs to exactly one known replica."""
    moment = random.Random(seed)
    names = [f"r{number}" for number in range(6)]
    for _ in range(4):
        with _control_plane(tmp_path, pytestconfig, *names) as process:
            _hear(process, "open")
            time.sleep(moment.uniform(0, 0.25))
            process.kill()
    target = LocalTarget(tmp_path)
    seen = {replica.id: replica for replica in target.driver.observe()}
    target.until(
        lambda: all(
            replica.phase in (ReplicaPhase.READY, ReplicaPhase.EXITED)
            for replica in target.driver.observe()
        )
    )
    alive = {replica.pid for replica in target.driver.observe() if replica.exit is None}
    assert _servers_below(tmp_path) == alive
    assert set(seen) <= set(names)
    for replica in target.driver.observe():
        assert replica.exit is None or replica.exit.cause is ExitCause.LOST
    target.close()
    assert _servers_below(tmp_path) == set()


def test_a_server_never_outlives_its_supervisor(target: LocalTarget) -> None:
    target.driver.start(target.order_plan("a", {"leaves_child": True}))
    target.until_phase("a", ReplicaPhase.READY)
    os.kill(_shim_of(target, "a"), signal.SIGKILL)
    ended = target.until_phase("a", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert ended.cause is ExitCause.LOST
    assert ended.last_log
    target.until(lambda: _servers_below(target.root) == set())


def test_what_a_server_started_ends_with_it(target: LocalTarget) -> None:
    target.driver.start(target.order_plan("a", {"leaves_child": True}))
    target.until_phase("a", ReplicaPhase.READY)
    target.until(lambda: len(_servers_below(target.root)) == 2)
    target.driver.stop("a", 5)
    target.until_phase("a", ReplicaPhase.EXITED)
    target.until(lambda: _servers_below(target.root) == set())


def test_a_killed_server_is_named_with_its_signal(target: LocalTarget) -> None:
    target.driver.start(target.order_plan("a", {}))
    pid = target.until_phase("a", ReplicaPhase.READY).pid
    assert pid is not None
    os.kill(pid, signal.SIGSEGV)
    ended = target.until_phase("a", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert (ended.cause, ended.signal) == (ExitCause.SIGNAL, "SIGSEGV")


def test_a_server_that_ignores_being_asked_is_killed(target: LocalTarget) -> None:
    target.driver.start(target.order_plan("a", {"ignores_term": True}))
    target.until_phase("a", ReplicaPhase.READY)
    target.driver.stop("a", 0.3)
    ended = target.until_phase("a", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert (ended.cause, ended.signal) == (ExitCause.STOPPED, "SIGKILL")


def test_a_frozen_server_is_unready_then_stuck_then_stopped(target: LocalTarget) -> None:
    target.driver.start(target.order_plan("a", {}, progress_s=4))
    pid = target.until_phase("a", ReplicaPhase.READY).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert "no answer" in target.until_phase("a", ReplicaPhase.UNREADY).detail
    target.until_phase("a", ReplicaPhase.STUCK)
    target.driver.stop("a", 0.5)
    target.until_phase("a", ReplicaPhase.EXITED)


def test_a_server_that_thaws_is_ready_again(target: LocalTarget) -> None:
    target.driver.start(target.order_plan("a", {}))
    pid = target.until_phase("a", ReplicaPhase.READY).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    target.until_phase("a", ReplicaPhase.UNREADY)
    os.kill(pid, signal.SIGCONT)
    target.until_phase("a", ReplicaPhase.READY)


def test_a_frozen_supervisor_cannot_keep_a_replica_alive(
    target: LocalTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prometheus_ai.adapters.drivers.local.live.SHIM_LATE_S", 0.5)
    target.driver.start(target.order_plan("a", {}))
    target.until_phase("a", ReplicaPhase.READY)
    os.kill(_shim_of(target, "a"), signal.SIGSTOP)
    target.driver.stop("a", 0.1)
    ended = target.until_phase("a", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert ended.cause is ExitCause.STOPPED
    target.until(lambda: _servers_below(target.root) == set())


def test_two_drivers_see_the_same_replicas(target: LocalTarget) -> None:
    other = target.reopen()
    target.driver.start(target.order_plan("a", {}))
    target.until(lambda: [seen.phase for seen in other.observe()] == [ReplicaPhase.READY])
    other.stop("a", 5)
    target.until(lambda: [seen.phase.value for seen in target.driver.observe()] == ["exited"])
    target.driver.forget("a")
    target.until(lambda: other.observe() == ())


def _control_plane(root: Path, pytestconfig: pytest.Config, *names: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, str(root), *names],
        cwd=pytestconfig.rootpath,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _hear(process: "subprocess.Popen[str]", word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"the process ended before {word!r}")


def _shim_of(target: LocalTarget, replica_id: str) -> int:
    record = json.loads((target.root / "replicas" / replica_id / "started.json").read_text())
    return int(record["shim_pid"])


def _servers_below(root: Path) -> set[int]:
    """Return every live process whose environment says that it belongs to a replica below ``root``."""
    mark = f"PAI_REPLICA_FOLDER={root}/".encode()
    found = set()
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                if any(
                    entry.startswith(mark) for entry in (path / "environ").read_bytes().split(b"\0")
                ):
                    found.add(int(path.name))
            except OSError:
                continue
    return found


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists()
