"""One Envoy cluster for each release: where its replicas are, and how they are protected."""

from typing import Any

from prometheus_ai.domain.route import RoutedRelease
from prometheus_ai.gateway.balance import is_held
from prometheus_ai.gateway.grpc import SUFFIX

# The model server keeps idle connections for 75 s; closing first avoids writing into a closing one.
UPSTREAM_IDLE_S = 60
CONNECT_TIMEOUT_S = 2
CONNECTIONS_MAX = 1024
PENDING_MAX = 1024
REQUESTS_MAX = 4096
STREAMS_MAX = 128
"""Calls at once on one connection to a replica; it allows twice as many."""
HOLD_SOCKET = "hold.sock"
"""Where held requests wait; relative to the folder that Envoy is started in."""

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def cluster_name(backend: str, version: str) -> str:
    """Return the cluster's name, which is also the release's id."""
    return f"{backend}/{version}"


def release_of_cluster(name: str) -> tuple[str, str]:
    """Return backend and version of a cluster's name."""
    backend, _, version = name.removesuffix(SUFFIX).partition("/")
    return backend, version


def stat_name(backend: str, version: str) -> str:
    """Return the cluster's name in statistics, where a dot would separate words."""
    return f"{backend}/{version.replace('.', '~')}"


def release_of(stat: str) -> tuple[str, str] | None:
    """Return backend and version of a cluster's name in statistics, or None for a foreign cluster."""
    backend, slash, version = stat.partition("/")
    return (backend, version.replace("~", ".")) if slash else None


def cluster(backend: str, release: RoutedRelease) -> dict[str, Any]:
    """Return the cluster of a release with its live replicas inside.

    Endpoints stand in the cluster, not in files of their own: Envoy opens one inotify instance for
    each such file, and a kernel allows 128 by default. See decision 0004.
    A draining replica is left out: it gets no new request, and those under way finish.
    Without a live replica, the place where requests are held is the only endpoint, if there is one.
    """
    name = cluster_name(backend, release.version)
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "alt_stat_name": stat_name(backend, release.version),
        "type": "STATIC",
        "connect_timeout": f"{CONNECT_TIMEOUT_S}s",
        "lb_policy": "LEAST_REQUEST",
        # Zero: an ejected or draining replica is never used in panic.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": _endpoints(release)}],
        },
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": CONNECTIONS_MAX,
                    "max_pending_requests": PENDING_MAX,
                    "max_requests": REQUESTS_MAX,
                    "retry_budget": {
                        "budget_percent": {"value": 20},
                        "min_retry_concurrency": 10,
                    },
                }
            ]
        },
        "outlier_detection": _outlier_detection(),
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
                "common_http_protocol_options": {"idle_timeout": f"{UPSTREAM_IDLE_S}s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def grpc_cluster(backend: str, release: RoutedRelease) -> dict[str, Any]:
    """Return the cluster by which gRPC reaches a release; its replicas stand at their gRPC ports.

    It counts under the release's own name, so a release has one set of numbers.
    Where calls are held it leads to a place of waiting that speaks HTTP/1.1 alone: Envoy keeps the
    message and sends it again, to what the cluster has become, when it is told that the release is awake.
    """
    found = cluster(backend, release)
    name = f"{found['name']}{SUFFIX}"
    if is_held(release):
        # All who waited are sent again at the same moment, which is not a storm of retries.
        found["circuit_breakers"]["thresholds"][0]["retry_budget"] = {
            "budget_percent": {"value": 100},
            "min_retry_concurrency": REQUESTS_MAX,
        }
    else:
        options = found["typed_extension_protocol_options"][_HTTP_OPTIONS]
        options["explicit_http_config"] = {
            "http2_protocol_options": {"max_concurrent_streams": STREAMS_MAX}
        }
    return found | {
        "name": name,
        "load_assignment": found["load_assignment"] | {"cluster_name": name},
    }


def _endpoints(release: RoutedRelease) -> list[dict[str, Any]]:
    if is_held(release):
        # No replica: whoever holds requests stands in for one, and the path leads past it afterwards.
        return [{"endpoint": {"address": {"pipe": {"path": HOLD_SOCKET}}}}]
    live = [replica for replica in release.replicas if not replica.is_draining]
    return [
        {
            "endpoint": {
                "address": {
                    "socket_address": {
                        "address": replica.endpoint.host,
                        "port_value": replica.endpoint.port,
                    }
                }
            }
        }
        for replica in sorted(live, key=lambda replica: replica.id)
    ]


def _outlier_detection() -> dict[str, Any]:
    # Suited to one to four replicas: at most half are ejected, so a lone replica never is; ejection
    # is short, because the control plane replaces what is really dead. A 500 is the model's answer,
    # not the replica's fault, so only gateway errors and broken connections count.
    return {
        "interval": "1s",
        "base_ejection_time": "2s",
        "max_ejection_time": "30s",
        "max_ejection_percent": 50,
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 3,
        "enforcing_consecutive_local_origin_failure": 100,
        "consecutive_gateway_failure": 5,
        "enforcing_consecutive_gateway_failure": 100,
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
    }
