"""A backend as callers of gRPC meet it: only the replicas that offer it, each at its gRPC port."""

from dataclasses import replace
from typing import Any

from prometheus_ai.domain.route import BackendRoute, RoutedRelease
from prometheus_ai.gateway.balance import is_held

SUFFIX = "#grpc"
"""After the name of a release's cluster; both count as the release in statistics."""
MATCH: dict[str, Any] = {"prefix": "/", "grpc": {}}


def offers_grpc(release: RoutedRelease) -> bool:
    """Whether a release has a replica with a gRPC port, drained or not."""
    return any(replica.endpoint.grpc_port is not None for replica in release.replicas)


def as_grpc(route: BackendRoute) -> BackendRoute:
    """Return a backend with the releases and replicas that gRPC reaches.

    Whether a release that sleeps takes gRPC is seen when it is awake, so its calls are held.
    """
    return replace(
        route,
        releases=tuple(
            replace(
                release,
                hold=release.hold if is_held(release) else None,
                replicas=tuple(
                    replace(one, endpoint=replace(one.endpoint, port=one.endpoint.grpc_port or 0))
                    for one in release.replicas
                    if one.endpoint.grpc_port is not None
                ),
            )
            for release in route.releases
            if offers_grpc(release) or is_held(release)
        ),
    )
