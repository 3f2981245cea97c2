"""Envoy's configuration for one release that runs under Compose; pure."""

from typing import Any

from prometheus_ai.domain.image import HTTP_PORT
from prometheus_ai.domain.release import Release

SERVER = "server"
"""What Compose calls the replicas: their name on the inner network too."""
GATEWAY_PORT = 7080
_TYPES = "type.googleapis.com/envoy"
_HEALTHY_THRESHOLD = 1
_UNHEALTHY_THRESHOLD = 3


def gateway_config(release: Release) -> dict[str, Any]:
    """Return a static configuration: one port, one route, every replica that answers ready."""
    return {
        "node": {"id": "gateway", "cluster": release.backend},
        "static_resources": {
            "listeners": [_listener(release)],
            "clusters": [_cluster(release)],
        },
    }


def _listener(release: Release) -> dict[str, Any]:
    manager = {
        "@type": f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "codec_type": "AUTO",
        "server_name": "pai",
        "normalize_path": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "request_headers_timeout": "10s",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.extensions.filters.http.router.v3.Router"},
            }
        ],
        "route_config": {
            "name": "routes",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [_route(release)]}],
        },
    }
    return {
        "name": "gateway",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": GATEWAY_PORT}},  # noqa: S104 - inside its container
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }


def _route(release: Release) -> dict[str, Any]:
    action: dict[str, Any] = {
        "cluster": SERVER,
        "timeout": f"{release.spec.timeouts.request_s:g}s",
    }
    # A connection that never opened carried nothing, so trying another replica repeats nothing.
    retried = "connect-failure,refused-stream"
    if release.spec.route.idempotent:
        retried += ",reset"
    action["retry_policy"] = {"retry_on": retried, "num_retries": 2}
    return {"match": {"prefix": "/"}, "route": action}


def _cluster(release: Release) -> dict[str, Any]:
    address = {"socket_address": {"address": SERVER, "port_value": HTTP_PORT}}
    return {
        "name": SERVER,
        "type": "STRICT_DNS",
        "dns_refresh_rate": "1s",
        "connect_timeout": "2s",
        "lb_policy": "LEAST_REQUEST",
        "health_checks": [
            {
                "timeout": "2s",
                "interval": "2s",
                "no_traffic_interval": "2s",
                "healthy_threshold": _HEALTHY_THRESHOLD,
                "unhealthy_threshold": _UNHEALTHY_THRESHOLD,
                "http_health_check": {"path": f"/v2/models/{release.backend}/ready"},
            }
        ],
        "load_assignment": {
            "cluster_name": SERVER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
