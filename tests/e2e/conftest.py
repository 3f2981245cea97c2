"""Real installations for end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.control.containers.images import installation_id
from tests.contract.docker_target import remove_everything
from tests.e2e.installation import Installation, Load


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of model environments that all installations share: making one takes seconds."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def installation(tmp_path: Path, environments: Path) -> Iterator[Installation]:
    """Yield a running installation, and end all of it afterwards."""
    made = Installation(tmp_path)
    (made.home / "environments").symlink_to(environments)
    try:
        made.start("gateway")
        made.start("server")
        yield made
    finally:
        print(made.said())
        made.close()


@pytest.fixture(params=["local", pytest.param("docker", marks=[pytest.mark.requires("docker")])])
def target(request: pytest.FixtureRequest, installation: Installation) -> Iterator[str]:
    """Yield a target's name; what a Docker Engine was given is removed afterwards."""
    chosen = str(request.param)
    if chosen == "docker":
        installation.client().add_target(chosen)
    yield chosen
    if chosen == "docker":
        installation.close()
        remove_everything(installation_id(SqlStore.open(installation.home / "state" / "pai.db")))


@pytest.fixture
def served(installation: Installation) -> Installation:
    """Return an installation with one backend of two replicas, ready."""
    installation.client().deploy(installation.spec(2.0, replicas=2))
    return installation


@pytest.fixture
def load(served: Installation) -> Iterator[Load]:
    """Yield steady traffic on the served backend."""
    with Load(url=f"{served.gateway_url}/v2/models/scaling/infer") as load:
        load.wait_for_more(20)
        yield load
