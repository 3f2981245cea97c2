"""The worlds that the one behaviour suite runs over."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.control.containers.images import installation_id
from tests.contract.docker_target import remove_everything
from tests.e2e.behaviour.worlds import FakeWorld, RealWorld, World
from tests.e2e.installation import Installation

_names = (f"scaling-{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def real(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, environments: Path
) -> Iterator[Installation]:
    """One installation for all tests of a world: a Docker target is added when it is that one's."""
    installation = Installation(tmp_path_factory.mktemp("world"))
    (installation.home / "environments").symlink_to(environments)
    try:
        installation.start("gateway")
        installation.start("server")
        yield installation
    finally:
        print(installation.said())
        installation.close()
        if engine_is_used(installation):
            remove_everything(
                installation_id(SqlStore.open(installation.home / "state" / "pai.db"))
            )


def engine_is_used(installation: Installation) -> bool:
    """Whether a Docker target was added."""
    return (installation.home / "container-logs" / ".used").exists()


@pytest.fixture(
    params=[
        "fake",
        pytest.param("local", marks=[pytest.mark.requires("envoy")]),
        pytest.param("docker", marks=[pytest.mark.requires("envoy", "docker")]),
    ]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Return one of the worlds."""
    if request.param == "fake":
        return FakeWorld(tmp_path)
    installation: Installation = request.getfixturevalue("real")
    if request.param == "docker":
        client = installation.client()
        if "docker" not in {target.name for target in client.targets()}:
            client.add_target("docker")
            mark = installation.home / "container-logs" / ".used"
            mark.parent.mkdir(exist_ok=True)
            mark.touch()
    return RealWorld(installation, request.param)


@pytest.fixture
def name(world: World) -> Iterator[str]:
    """Return the name of a backend that no other test uses, and delete it afterwards."""
    chosen = next(_names)
    yield chosen
    if not world.is_gone(chosen):
        world.verb("delete", chosen)
        world.until("deleted", lambda: world.is_gone(chosen))
