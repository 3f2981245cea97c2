"""How an Envoy process starts: where its files and its admin socket are, and what it counts."""

import hashlib
import json
from typing import Any

from prometheus_ai.gateway.listener import CONNECTIONS_MAX, STAT_PREFIX

ADMIN_SOCKET = "admin.sock"

_CLUSTER_STATS = (
    "upstream_rq_completed|upstream_rq_4xx|upstream_rq_5xx|upstream_rq_active"
    "|upstream_rq_pending_active|upstream_rq_pending_overflow|upstream_rq_retry|upstream_rq_time"
    "|upstream_cx_none_healthy"
)


def bootstrap() -> dict[str, Any]:
    """Return the bootstrap; paths are relative to the folder that Envoy is started in."""
    body = _body()
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12]
    # An adopted Envoy that was started from another bootstrap is told by its node id.
    return {"node": {"id": f"gateway-{digest}", "cluster": "pai"}} | body


def _body() -> dict[str, Any]:
    return {
        "admin": {"address": {"pipe": {"path": ADMIN_SOCKET, "mode": 0o600}}},
        "dynamic_resources": {"cds_config": _file("cds"), "lds_config": _file("lds")},
        # Histograms are merged when they are read, so a reading is never older than the question.
        "stats_flush_on_admin": True,
        "stats_config": {
            "stats_matcher": {
                "inclusion_list": {
                    "patterns": [
                        {"prefix": "cluster_manager."},
                        {"prefix": "listener_manager."},
                        {"prefix": f"http.{STAT_PREFIX}."},
                        {"prefix": "server."},
                        {"safe_regex": {"regex": rf"cluster\.[^.]+\.({_CLUSTER_STATS})"}},
                    ]
                }
            }
        },
        # Thousands of releases that carry no traffic cost no statistics.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.resource_monitors"
                        ".downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": CONNECTIONS_MAX,
                    },
                }
            ]
        },
    }


def _file(name: str) -> dict[str, Any]:
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": f"xds/{name}.json"},
    }
