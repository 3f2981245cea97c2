"""Every RouteTablePort keeps the port's promises."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.route import RoutedReplica, RouteTable
from prometheus_ai.ports.route_table import RouteTablePort
from prometheus_ai.testing.fake_gateway import FakeGateway
from prometheus_ai.testing.route_table_contract import RouteTableContract, Spoil
from tests.e2e.gateway.rig import GatewayRig


class TestFakeGateway(RouteTableContract):
    @pytest.fixture
    def routes(self) -> FakeGateway:
        return FakeGateway()

    @pytest.fixture
    def spoil(self, routes: FakeGateway) -> Spoil:
        def refuse_once(table: RouteTable) -> RouteTable:
            routes.refuse(table.generation, "malformed IP address: no-address")
            return table

        return refuse_once


@pytest.mark.e2e
class TestEnvoyGateway(RouteTableContract):
    @pytest.fixture
    def routes(self, tmp_path: Path) -> Iterator[RouteTablePort]:
        rig = GatewayRig(tmp_path / "home")
        rig.start()
        yield rig.client
        rig.close()

    @pytest.fixture
    def spoil(self) -> Spoil:
        def put_a_name_for_an_address(table: RouteTable) -> RouteTable:
            route = table.backends[0]
            lost = RoutedReplica(id="lost", endpoint=Endpoint(host="no-address", port=9))
            broken = replace(route.releases[0], replicas=(lost,))
            releases = (broken, *route.releases[1:])
            return replace(table, backends=(replace(route, releases=releases),))

        return put_a_name_for_an_address
