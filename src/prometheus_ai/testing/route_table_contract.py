"""What every RouteTablePort must do. Subclass in a test module and give the two fixtures.

``routes`` is a gateway without a table; ``spoil`` makes the data plane refuse the table that it returns.
"""

from collections.abc import Callable
from dataclasses import replace

from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.route import BackendRoute, RoutedRelease, RoutedReplica, RouteTable
from prometheus_ai.ports.route_table import RouteTablePort

Spoil = Callable[[RouteTable], RouteTable]


def make_table(generation: int, *, new_weight: int = 1000) -> RouteTable:
    """Return a table of one backend with two releases."""
    releases = tuple(
        RoutedRelease(
            version=version,
            replicas=(
                RoutedReplica(
                    id=f"digits-{version}-1", endpoint=Endpoint(host="127.0.0.1", port=port)
                ),
            ),
            request_timeout_s=5.0,
            request_bytes_max=2**20,
        )
        for version, port in (("v1", 9), ("v2", 10))
    )
    weights = (("v1", 10_000 - new_weight), ("v2", new_weight))
    return RouteTable(
        generation=generation,
        backends=(BackendRoute(backend="digits", weights=weights, releases=releases),),
    )


class RouteTableContract:
    """The promises of the port, one behaviour a test."""

    def test_a_new_gateway_serves_generation_zero(self, routes: RouteTablePort) -> None:
        status = routes.status()
        assert status.is_serving
        assert status.generation == 0
        assert status.rejected_generation is None

    def test_a_table_is_in_force_when_publish_returns(self, routes: RouteTablePort) -> None:
        receipt = routes.publish(make_table(1))
        assert receipt.accepted, receipt.detail
        assert receipt.generation == 1
        assert routes.status().generation == 1

    def test_the_same_table_again_changes_nothing(self, routes: RouteTablePort) -> None:
        routes.publish(make_table(1))
        receipt = routes.publish(make_table(1))
        assert receipt.accepted
        assert receipt.generation == 1

    def test_generations_may_leave_gaps(self, routes: RouteTablePort) -> None:
        routes.publish(make_table(1))
        assert routes.publish(make_table(40, new_weight=2000)).generation == 40

    def test_an_older_table_is_ignored(self, routes: RouteTablePort) -> None:
        routes.publish(make_table(5))
        receipt = routes.publish(make_table(4, new_weight=9000))
        assert not receipt.accepted
        assert receipt.generation == 5
        assert "5" in receipt.detail
        assert routes.status().generation == 5

    def test_an_older_table_is_no_rejection_by_the_data_plane(self, routes: RouteTablePort) -> None:
        routes.publish(make_table(5))
        routes.publish(make_table(4, new_weight=9000))
        assert routes.status().rejected_generation is None

    def test_a_rejected_table_leaves_the_last_good_one_in_force(
        self, routes: RouteTablePort, spoil: Spoil
    ) -> None:
        routes.publish(make_table(1))
        receipt = routes.publish(spoil(make_table(2)))
        assert not receipt.accepted
        assert receipt.generation == 1
        assert receipt.detail
        status = routes.status()
        assert status.is_serving
        assert status.generation == 1

    def test_status_reports_a_rejection_in_the_data_planes_words(
        self, routes: RouteTablePort, spoil: Spoil
    ) -> None:
        routes.publish(make_table(1))
        receipt = routes.publish(spoil(make_table(2)))
        status = routes.status()
        assert status.rejected_generation == 2
        assert status.rejected_detail == receipt.detail

    def test_the_next_good_table_clears_a_rejection(
        self, routes: RouteTablePort, spoil: Spoil
    ) -> None:
        routes.publish(spoil(make_table(1)))
        good = replace(make_table(2), backends=())
        assert routes.publish(good).accepted
        status = routes.status()
        assert status.generation == 2
        assert status.rejected_generation is None
        assert not status.rejected_detail

    def test_an_empty_table_can_be_published(self, routes: RouteTablePort) -> None:
        routes.publish(make_table(1))
        assert routes.publish(RouteTable(generation=2, backends=())).accepted
