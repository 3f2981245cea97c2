"""Real Envoy, real replicas."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway.rig import GatewayRig
from tests.e2e.gateway.upstream import Upstream


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayRig]:
    """One gateway for all tests of a module; each test publishes its own table."""
    rig = GatewayRig(tmp_path_factory.mktemp("gateway") / "home")
    rig.start()
    yield rig
    rig.close()


@pytest.fixture
def gateway(shared_gateway: GatewayRig) -> GatewayRig:
    """The gateway without any route."""
    shared_gateway.serve()
    return shared_gateway


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[GatewayRig]:
    """A gateway of the test's own, to be killed."""
    rig = GatewayRig(tmp_path / "home")
    rig.start()
    yield rig
    rig.close()


@pytest.fixture
def one() -> Iterator[Upstream]:
    """A replica."""
    upstream = Upstream("one")
    yield upstream
    upstream.close()


@pytest.fixture
def two() -> Iterator[Upstream]:
    """Another replica."""
    upstream = Upstream("two")
    yield upstream
    upstream.close()
