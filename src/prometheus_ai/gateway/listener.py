"""The one listener: how connections and requests are accepted, normalised and refused."""

from dataclasses import dataclass
from typing import Any

from prometheus_ai.gateway.names_filter import NAMES_LUA
from prometheus_ai.gateway.routes import (
    BACKEND_HEADER,
    BODY_LIMIT_FILTER,
    NAMES_FILTER,
    RETRY_AFTER_S,
    ROUTES,
    SHADOW_HEADER,
)

STAT_PREFIX = "gateway"
HEADERS_KB_MAX = 32
HEADERS_MAX = 100
CONNECTIONS_MAX = 20_000

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_FILTERS = f"{_EXTENSIONS}.filters.http"


@dataclass(frozen=True, kw_only=True, slots=True)
class ListenerOptions:
    """Where the gateway listens."""

    host: str
    port: int


def listener(options: ListenerOptions) -> dict[str, Any]:
    """Return the listener; it changes only with the settings, never with a table."""
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": STAT_PREFIX,
        "address": {"socket_address": {"address": options.host, "port_value": options.port}},
        # With it a second gateway could take the same port, and the kernel would split the traffic.
        "enable_reuse_port": False,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": _connection_manager(),
                    }
                ]
            }
        ],
    }


def _connection_manager() -> dict[str, Any]:
    return {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": STAT_PREFIX,
        # HTTP/1.1 and HTTP/2 without TLS are told apart by their first bytes.
        "codec_type": "AUTO",
        "rds": {
            "route_config_name": ROUTES,
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": {"path": "xds/rds.json"},
            },
        },
        "http_filters": _http_filters(),
        # A body limit would hold back the first bytes of a tunnel until its end.
        "upgrade_configs": [
            {"upgrade_type": "websocket", "filters": [_names_filter(), _router_filter()]}
        ],
        "early_header_mutation_extensions": [_strip_internal_headers()],
        "local_reply_config": _local_replies(),
        "server_name": "pai",
        "use_remote_address": True,
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "max_request_headers_kb": HEADERS_KB_MAX,
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "300s",
        "drain_timeout": "5s",
        "common_http_protocol_options": {
            "idle_timeout": "300s",
            "max_headers_count": HEADERS_MAX,
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 128,
            "initial_stream_window_size": 2**20,
            "initial_connection_window_size": 8 * 2**20,
        },
    }


def _http_filters() -> list[dict[str, Any]]:
    return [_names_filter(), _body_limit_filter(), _router_filter()]


def _names_filter() -> dict[str, Any]:
    return {
        "name": NAMES_FILTER,
        "typed_config": {
            "@type": f"{_FILTERS}.lua.v3.Lua",
            "default_source_code": {"inline_string": NAMES_LUA},
        },
    }


def _router_filter() -> dict[str, Any]:
    return {
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": f"{_FILTERS}.router.v3.Router",
            "suppress_envoy_headers": True,
        },
    }


def _body_limit_filter() -> dict[str, Any]:
    # Skipped where the length is declared (a route refuses it at once, and the body streams) and for
    # gRPC (its messages have their own limit, and streams may never end).
    skip = {
        "action": {
            "name": "skip",
            "typed_config": {
                "@type": f"{_FILTERS.replace('filters.http', 'filters.common')}"
                ".matcher.action.v3.SkipFilter"
            },
        }
    }
    return {
        "name": BODY_LIMIT_FILTER,
        "typed_config": {
            "@type": f"{_EXTENSIONS}.common.matching.v3.ExtensionWithMatcher",
            "extension_config": {
                "name": BODY_LIMIT_FILTER,
                "typed_config": {
                    "@type": f"{_FILTERS}.buffer.v3.Buffer",
                    "max_request_bytes": 1,
                },
            },
            "xds_matcher": {
                "matcher_list": {
                    "matchers": [
                        {"predicate": _header_starts("content-length", ""), "on_match": skip},
                        {
                            "predicate": _header_starts("content-type", "application/grpc"),
                            "on_match": skip,
                        },
                    ]
                }
            },
        },
    }


def _header_starts(name: str, prefix: str) -> dict[str, Any]:
    value = {"prefix": prefix} if prefix else {"safe_regex": {"google_re2": {}, "regex": ".+"}}
    return {
        "single_predicate": {
            "input": {
                "name": name,
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
                    "header_name": name,
                },
            },
            "value_match": value,
        }
    }


def _strip_internal_headers() -> dict[str, Any]:
    package = "http.early_header_mutation.header_mutation.v3"
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.{package}.HeaderMutation",
            "mutations": [
                {
                    "append": {
                        "header": {"key": BACKEND_HEADER, "value": "-"},
                        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                    }
                },
                {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-"}}},
                # What only the control plane may ask of a replica; see the wire page.
                {"remove_on_match": {"key_matcher": {"prefix": "x-pai-control"}}},
                {"remove_on_match": {"key_matcher": {"exact": SHADOW_HEADER}}},
            ],
        },
    }


def _local_replies() -> dict[str, Any]:
    return {
        "mappers": [
            {
                "filter": _status("LE", 399),
                "body_format_override": {
                    "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
                    "content_type": "application/json",
                },
            },
            {
                "filter": {
                    "or_filter": {"filters": [_status("EQ", code) for code in (400, 408, 426, 431)]}
                },
                "body_format_override": _error_format("refused: %RESPONSE_CODE_DETAILS%"),
            },
            _reworded("UO", "overloaded: too many requests wait for this release", retry=True),
            _reworded("UH", "no replica of this release is healthy", retry=True),
            _reworded("UF", "no replica of this release could be reached", retry=True),
            _reworded("UC,UR", "the replica broke off before it answered"),
            _reworded("UT", "the release did not answer within its timeouts.request_s"),
        ],
        "body_format": _error_format("%LOCAL_REPLY_BODY%"),
    }


def _reworded(flags: str, text: str, *, retry: bool = False) -> dict[str, Any]:
    mapper: dict[str, Any] = {
        "filter": {"response_flag_filter": {"flags": flags.split(",")}},
        "body_format_override": _error_format(text),
    }
    if retry:
        mapper["headers_to_add"] = [
            {
                "header": {"key": "retry-after", "value": str(RETRY_AFTER_S)},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ]
    return mapper


def _error_format(text: str) -> dict[str, Any]:
    return {"json_format": {"error": text}, "content_type": "application/json"}


def _status(operator: str, value: int) -> dict[str, Any]:
    return {
        "status_code_filter": {
            "comparison": {
                "op": operator,
                "value": {"default_value": value, "runtime_key": "pai.unused"},
            }
        }
    }
