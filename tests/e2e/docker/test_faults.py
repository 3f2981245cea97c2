"""What a Docker target does when something fails, on real containers."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prometheus_ai.adapters.docker_engine import DockerEngine
from prometheus_ai.adapters.drivers.docker.driver import DockerDriver
from prometheus_ai.domain.errors import Corrupted, Unavailable
from prometheus_ai.domain.image_spec import ContainerSpec
from prometheus_ai.domain.replica import ExitCause, ReplicaPhase
from prometheus_ai.testing.fake_driver import Behaviour
from tests.contract.docker_target import DockerTarget, docker

pytestmark = [pytest.mark.e2e, pytest.mark.requires("docker")]
ENGINE = "/var/run/docker.sock"
RELAY = Path(__file__).with_name("relay.py")


class Line:
    """A socket in front of the engine's that can be cut."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._relay: subprocess.Popen[bytes] | None = None
        self.mend()

    def cut(self) -> None:
        """Refuse new connections and break those there are."""
        assert self._relay is not None
        self._relay.kill()
        self._relay.wait(10)
        self.path.unlink()

    def mend(self) -> None:
        """Take connections again."""
        self._relay = subprocess.Popen([sys.executable, RELAY, str(self.path), ENGINE])
        deadline = time.monotonic() + 10
        while not self.path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path / "engine.sock")
    yield made
    made.cut()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DockerTarget]:
    made = DockerTarget(tmp_path)
    yield made
    made.close()


def test_too_much_memory_is_named(target: DockerTarget) -> None:
    target.driver.start(target.order_plan("a", {"allocate_mib": 400}, memory="64Mi"))
    ended = target.until_phase("a", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert ended.cause is ExitCause.OUT_OF_MEMORY


def test_a_kill_from_outside_is_a_signal(target: DockerTarget) -> None:
    target.driver.start(target.order("a", Behaviour()))
    target.until_phase("a", ReplicaPhase.READY)
    docker("kill", "--signal", "SIGKILL", target.container_of("a"))
    ended = target.until_phase("a", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert (ended.cause, ended.signal) == (ExitCause.SIGNAL, "SIGKILL")


def test_an_engine_out_of_reach_concludes_nothing(
    target: DockerTarget, line: Line, tmp_path: Path
) -> None:
    engine = DockerEngine(f"unix://{line.path}")
    driver = DockerDriver(engine, target.images, tmp_path / "logs", target.options)
    target.drivers.append(driver)
    driver.start(target.order("a", Behaviour()))
    driver.start(target.order("b", Behaviour()))
    target.until_phase("a", ReplicaPhase.READY)
    line.cut()
    target.until(lambda: _is_blind(driver))
    with pytest.raises(Unavailable):
        driver.start(target.order("c", Behaviour()))
    docker("kill", target.container_of("b"))
    line.mend()
    target.until(lambda: not _is_blind(driver))
    assert target.until_phase("a", ReplicaPhase.READY)
    ended = target.until_phase("b", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert ended.cause is ExitCause.LOST


def _is_blind(driver: DockerDriver) -> bool:
    try:
        driver.observe()
    except Unavailable:
        return True
    return False


def test_a_changed_model_is_not_started(target: DockerTarget) -> None:
    order = target.order("a", Behaviour())
    order.model_path.write_text("{}")
    with pytest.raises(Corrupted):
        target.driver.start(order)
    assert target.driver.observe() == ()


def test_a_replica_is_hardened(target: DockerTarget) -> None:
    target.driver.start(target.order_plan("a", {"print_environment": True}))
    target.until_phase("a", ReplicaPhase.READY)
    container = target.container_of("a")
    status = docker("exec", container, "cat", "/proc/1/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split()[0] == "10001"
    assert facts["CapEff"] == "0" * 16
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"
    tried = "touch /opt/x; touch /opt/model/x; cp /bin/true /tmp/t && /tmp/t; echo done"
    said = docker("exec", container, "sh", "-c", f"({tried}) 2>&1")
    assert said.count("Read-only file system") == 2
    assert "Permission denied" in said
    assert docker("port", container) == ""


def test_an_exception_is_made_for_its_field_alone(target: DockerTarget) -> None:
    order = target.order_plan("a", {})
    allowed = ContainerSpec(
        user=0, capabilities=("SYS_NICE",), reasons={"user": "test", "capabilities": "test"}
    )
    spec = order.release.spec.model_copy(update={"container": allowed})
    target.driver.start(replace(order, release=replace(order.release, spec=spec)))
    target.until_phase("a", ReplicaPhase.READY)
    status = docker("exec", target.container_of("a"), "cat", "/proc/1/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split()[0] == "0"
    assert int(facts["CapEff"], 16) == 1 << 23
    assert facts["NoNewPrivs"] == "1"
    tried = docker("exec", target.container_of("a"), "sh", "-c", "touch /opt/x 2>&1 || true")
    assert "Read-only file system" in tried


def test_replicas_reach_neither_each_other_nor_the_outside(target: DockerTarget) -> None:
    for name in ("a", "b"):
        target.driver.start(target.order(name, Behaviour()))
    target.until_phase("a", ReplicaPhase.READY)
    other = target.until_phase("b", ReplicaPhase.READY).endpoint
    assert other is not None
    ask = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)"
    for host, port in ((other.host, other.port), ("192.0.2.1", 80)):
        said = docker(
            "exec", target.container_of("a"), "sh", "-c",
            f"python3 -c '{ask}' {host} {port} >/dev/null 2>&1 && echo reached || echo refused",
        )  # fmt: skip
        assert said == "refused"
