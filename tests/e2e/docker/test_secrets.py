"""A secret reaches the model's file, and nothing else on the machine."""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prometheus_ai.domain.image import LABEL_REPLICA
from prometheus_ai.domain.replica import ExitCause, ReplicaPhase
from prometheus_ai.domain.secret import Secret
from tests.contract.docker_target import DockerTarget, docker
from tests.contract.local_target import LocalTarget

pytestmark = [pytest.mark.e2e]
VALUE = "s3cret-of-the-hub"
ENGINES_FILES = Path("/var/lib/docker/containers")


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DockerTarget]:
    made = DockerTarget(tmp_path)
    yield made
    made.close()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalTarget]:
    made = LocalTarget(tmp_path)
    yield made
    made.close()


def processes_that_tell(value: str) -> list[str]:
    """Return the processes in whose command line or environment a value is."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        for name in ("cmdline", "environ"):
            try:
                if value.encode() in (process / name).read_bytes():
                    found.append(f"{process}/{name}")
            except OSError:
                continue
    return found


def files_that_tell(folder: Path, value: str) -> list[Path]:
    """Return the files below a folder that hold a value."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if value.encode() in path.read_bytes()]


@pytest.mark.requires("docker")
def test_a_container_has_its_secret_in_one_file_of_its_memory(target: DockerTarget) -> None:
    order = target.order_plan("a", {"print_environment": True})
    target.driver.start(replace(order, secrets={"hub-token": Secret(VALUE), "b": Secret("ü\n")}))
    target.until_phase("a", ReplicaPhase.READY)
    container = target.container_of("a")
    read = ("exec", container, "sh", "-c")
    assert docker(*read, "cat /run/secrets/hub-token") == VALUE
    assert docker(*read, "stat -c '%a %u' /run/secrets/hub-token /run/secrets") == (
        "400 10001\n700 10001"
    )
    assert docker(*read, "stat -f -c %T /run/secrets") == "tmpfs"
    assert docker(*read, "cat /run/secrets/b") == "ü"
    assert VALUE not in docker("inspect", container)
    assert VALUE not in docker("logs", container)
    assert "PAI_SECRETS" in docker("inspect", container)
    assert processes_that_tell(VALUE) == []
    assert files_that_tell(ENGINES_FILES / container, VALUE) == []
    assert files_that_tell(target.root, VALUE) == []


@pytest.mark.requires("docker")
def test_a_container_left_unstarted_gets_its_secret_from_the_next_driver(
    target: DockerTarget,
) -> None:
    order = replace(target.order_plan("a", {}), secrets={"hub": Secret(VALUE)})
    target.driver.start(replace(target.order_plan("first", {}), secrets={"hub": Secret("x")}))
    target.until_phase("first", ReplicaPhase.READY)
    body = json.loads(docker("inspect", target.container_of("first")))[0]
    assert body["Config"]["StdinOnce"]
    # A container that loses its writer before the line came ends and says why.
    docker("start", docker("create", *_like(body), *body["Config"]["Cmd"]))
    target.until(lambda: any(one.id == "left" for one in target.driver.observe()))
    ended = target.until_phase("left", ReplicaPhase.EXITED).exit
    assert ended is not None
    assert ended.cause is not ExitCause.STOPPED
    target.driver.start(order)
    target.until_phase("a", ReplicaPhase.READY)


def _like(body: dict[str, dict[str, object]]) -> list[str]:
    labels = body["Config"]["Labels"]
    assert isinstance(labels, dict)
    told = [f"--label={key}={value}" for key, value in labels.items() if key != LABEL_REPLICA]
    return [*told, f"--label={LABEL_REPLICA}=left", "--tmpfs=/run/secrets", str(body["Image"])]


def test_a_process_has_its_secret_in_a_private_file_until_it_ends(local: LocalTarget) -> None:
    order = local.order_plan("a", {"print_environment": True})
    local.driver.start(replace(order, secrets={"hub-token": Secret(VALUE)}))
    local.until_phase("a", ReplicaPhase.READY)
    folder = local.root / "replicas" / "a" / "secrets"
    assert (folder / "hub-token").read_text() == VALUE
    assert stat.S_IMODE((folder / "hub-token").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert files_that_tell(local.root, VALUE) == [folder / "hub-token"]
    assert processes_that_tell(VALUE) == []
    local.driver.stop("a", 5)
    local.until_phase("a", ReplicaPhase.EXITED)
    assert files_that_tell(local.root, VALUE) == []
