"""Two engines at once, one of them over TLS; engines that restart under their containers."""

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from prometheus_ai.adapters.docker_engine import DockerEngine
from prometheus_ai.adapters.drivers.docker.driver import DockerDriver
from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.domain.replica import ExitCause, Observed, ReplicaPhase
from prometheus_ai.domain.secret import Secret
from prometheus_ai.testing.fake_driver import Behaviour
from tests.contract.docker_target import DockerTarget
from tests.e2e.docker.second_engine import SecondEngine

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.requires("docker"),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("dockerd") is None or shutil.which("ip") is None,
        reason="starts a Docker Engine of its own: needs root, dockerd and ip (iproute2)",
    ),
]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DockerTarget]:
    made = DockerTarget(tmp_path / "near")
    yield made
    made.close()


@pytest.fixture
def second(target: DockerTarget) -> Iterator[SecondEngine]:
    made = SecondEngine()
    try:
        made.start(keeps_containers=True)
        made.take(f"pai-test-{target.home}/digits:v1")
        yield made
    finally:
        made.close()


def driver_of(second: SecondEngine, target: DockerTarget, root: Path) -> DockerDriver:
    options = replace(target.options, target="far")
    return DockerDriver(second.engine(), target.images, root / "far-logs", options)


def see(driver: DockerDriver, replica: str) -> Observed | None:
    try:
        return next((one for one in driver.observe() if one.id == replica), None)
    except Unavailable:
        return None


def phase(driver: DockerDriver, replica: str) -> ReplicaPhase | None:
    seen = see(driver, replica)
    return seen.phase if seen else None


def test_engines_are_apart_and_may_restart_under_their_containers(
    second: SecondEngine, target: DockerTarget, tmp_path: Path
) -> None:
    stranger = DockerEngine(second.url)
    with pytest.raises(InvalidInput, match="HTTP request to an HTTPS server"):
        stranger.get("/info")
    stranger.close()
    far = driver_of(second, target, tmp_path)
    target.drivers.append(far)
    target.driver.start(target.order("near", Behaviour()))
    order = target.order("far", Behaviour())
    far.start(replace(order, secrets={"hub": Secret("through TLS")}))
    target.until(lambda: phase(far, "far") is ReplicaPhase.READY)
    target.until(lambda: phase(target.driver, "near") is ReplicaPhase.READY)
    assert see(target.driver, "far") is None
    assert see(far, "near") is None
    before = see(far, "far")
    assert before is not None
    assert before.endpoint is not None
    url = f"http://{before.endpoint.host}:{before.endpoint.port}/v2/health/state"
    assert httpx.get(url).json()["ready"]

    # The engine dies, and its containers go on.
    second.end(signal.SIGKILL)
    target.until(lambda: see(far, "far") is None)
    with pytest.raises(Unavailable, match="cannot be reached"):
        far.observe()
    assert before.pid is not None
    os.kill(before.pid, 0)
    second.start(keeps_containers=True)
    target.until(lambda: phase(far, "far") is ReplicaPhase.READY)
    after = see(far, "far")
    assert after is not None
    assert (after.pid, after.started_at) == (before.pid, before.started_at)
    assert httpx.get(url).json()["ready"]

    # An engine that keeps no containers ends those that it finds.
    second.end(signal.SIGTERM)
    target.until(lambda: see(far, "far") is None)
    second.start(keeps_containers=False)
    target.until(lambda: phase(far, "far") is ReplicaPhase.EXITED)
    ended = see(far, "far")
    assert ended is not None
    assert ended.exit is not None
    assert ended.exit.cause is ExitCause.LOST
    assert phase(target.driver, "near") is ReplicaPhase.READY
