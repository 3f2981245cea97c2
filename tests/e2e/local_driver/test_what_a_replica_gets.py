"""What a replica is given, and what bounds it."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prometheus_ai.adapters.drivers.local.machine import Machine, measure
from prometheus_ai.domain.errors import Corrupted, Unavailable
from prometheus_ai.domain.replica import ExitCause, ReplicaPhase
from prometheus_ai.ports.driver import LogLine
from tests.contract.local_target import LocalTarget

pytestmark = pytest.mark.e2e


@pytest.fixture
def target(tmp_path: Path) -> Iterator[LocalTarget]:
    made = LocalTarget(tmp_path)
    yield made
    made.close()


def test_nothing_of_the_control_planes_environment_reaches_a_replica(
    target: LocalTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    target.driver.start(target.order_plan("a", {"print_environment": True}))
    target.until_phase("a", ReplicaPhase.READY)
    target.until(lambda: any("environment" in line.text for line in _lines(target, "a")))
    said = next(line.text for line in _lines(target, "a") if "environment" in line.text)
    got = json.loads(said)
    folder = str(target.root / "replicas" / "a")
    assert set(got["environment"]) == {
        "PATH", "HOME", "TMPDIR", "LANG", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "PAI_REPLICA_FOLDER",
    }  # fmt: skip
    assert got["environment"]["HOME"].startswith(folder)
    assert got["environment"]["TMPDIR"].startswith(folder)
    assert got["cwd"].startswith(folder)


def test_a_replica_is_alone_in_its_session_and_holds_no_lock(target: LocalTarget) -> None:
    target.driver.start(target.order_plan("a", {}))
    pid = target.until_phase("a", ReplicaPhase.READY).pid
    assert pid is not None
    assert os.getsid(pid) == pid
    held = [str(handle.readlink()) for handle in Path(f"/proc/{pid}/fd").iterdir()]
    assert not any("replicas" in path for path in held)


def test_output_is_kept_within_its_bound(target: LocalTarget) -> None:
    target.driver.start(target.order_plan("a", {"print_lines": 20_000}))
    target.until_phase("a", ReplicaPhase.READY)
    target.until(lambda: any("line 19999" in line.text for line in _lines(target, "a")))
    folder = target.root / "replicas" / "a"
    sizes = [path.stat().st_size for path in folder.glob("log*")]
    assert len(sizes) == 2
    assert sum(sizes) <= target.limits.log_bytes_max
    numbers = [int(line.text.split()[1]) for line in _lines(target, "a") if "line" in line.text[:4]]
    assert numbers == list(range(numbers[0], 20_000))


def test_followed_lines_survive_rotation_in_order(target: LocalTarget) -> None:
    target.driver.start(target.order_plan("a", {"print_slowly": 4_000, "exit_after_s": 5.0}))
    numbers = [
        int(line.text.split()[1])
        for line in target.driver.logs("a", 0, follow=True)
        if line.text.startswith("line")
    ]
    assert numbers == list(range(numbers[0], 4_000))
    assert (target.root / "replicas" / "a" / "log.1").exists()


@pytest.mark.skipif("memory" not in measure().cgroups, reason="no writable memory control group")
def test_a_replica_beyond_its_memory_is_ended_by_the_kernel(target: LocalTarget) -> None:
    target.driver.start(target.order_plan("a", {"allocate_mib": 400}, memory="128Mi"))
    ended = target.until_phase("a", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert ended.cause is ExitCause.OUT_OF_MEMORY
    assert "memory limit" in ended.message
    groups = Path(target.machine.cgroups["memory"])
    assert not list(groups.glob("pai-a*"))


def test_without_control_groups_memory_is_watched(tmp_path: Path) -> None:
    bare = Machine(cpus=2, memory_bytes=2**34, gpus=0, notes=("nothing is enforced",))
    target = LocalTarget(tmp_path, machine=bare)
    target.driver.start(target.order_plan("a", {"allocate_mib": 400}, memory="128Mi"))
    ended = target.until_phase("a", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert ended.cause is ExitCause.OUT_OF_MEMORY
    assert not target.driver.capabilities().memory_limit
    assert target.driver.capabilities().notes == ("nothing is enforced",)
    target.close()


def test_gpus_are_given_once(tmp_path: Path) -> None:
    target = LocalTarget(tmp_path, machine=replace(measure(), gpus=2))
    for name in ("a", "b"):
        order = target.order_plan(name, {"print_environment": True})
        spec = order.release.spec
        wanting = spec.model_copy(
            update={"resources": spec.resources.model_copy(update={"gpu": 1})}
        )
        order = replace(order, release=replace(order.release, spec=wanting))
        target.driver.start(order)
        target.until_phase(name, ReplicaPhase.READY)
        target.until(lambda name=name: any("CUDA" in line.text for line in _lines(target, name)))
    given = {
        json.loads(line.text)["environment"]["CUDA_VISIBLE_DEVICES"]
        for name in ("a", "b")
        for line in _lines(target, name)
        if "CUDA" in line.text
    }
    assert given == {"0", "1"}
    with pytest.raises(Unavailable, match="GPU"):
        target.driver.start(replace(order, id="c"))
    target.close()


def test_a_model_that_is_gone_is_not_started(target: LocalTarget) -> None:
    order = target.order_plan("a", {})
    order.model_path.unlink()
    with pytest.raises(Corrupted):
        target.driver.start(order)
    assert target.driver.observe() == ()


def test_a_server_that_cannot_be_run_says_so(target: LocalTarget) -> None:
    order = target.order_plan("a", {})
    environment = target.environments.make(
        order.lock_path, python="3.11", runtime="x", progress=lambda _: None
    )
    (environment / "bin" / "python").unlink()
    (environment / "bin" / "python").symlink_to("/nonexistent/python")
    target.driver.start(order)
    ended = target.until_phase("a", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert ended.cause is ExitCause.CRASH
    assert "No such file" in ended.message


def _lines(target: LocalTarget, replica_id: str) -> list[LogLine]:
    return list(target.driver.logs(replica_id, 100_000, follow=False))
