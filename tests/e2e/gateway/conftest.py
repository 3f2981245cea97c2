"""Real Envoy, real replicas."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from prometheus_ai.domain.route import RoutedRelease
from tests.e2e.gateway.model_server import Server
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


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RoutedRelease, ...]]:
    """Two releases of one model, each with a replica that takes gRPC."""
    folder = tmp_path_factory.mktemp("replicas")
    with ExitStack() as stack:
        servers = [Server(folder / f"v{number}", f"v{number}", number) for number in (1, 2)]
        for server in servers:
            stack.callback(server.close)
        yield tuple(server.release() for server in servers)
