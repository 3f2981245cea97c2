"""One Envoy virtual host for each backend: weights, forced releases, limits and refusals."""

from collections.abc import Sequence
from typing import Any

from prometheus_ai.domain.route import BackendRoute, RoutedRelease, Sticky
from prometheus_ai.gateway.balance import can_take, is_held, live_weights
from prometheus_ai.gateway.clusters import cluster_name
from prometheus_ai.gateway.grpc import MATCH, SUFFIX, as_grpc

ROUTES = "routes"
BACKEND_HEADER = "x-pai-backend"
"""Set by the gateway's own filter, which reads the backend's name from path or host."""
RELEASE_HEADER = "x-pai-release"
HOLD_HEADER = "x-pai-hold"
"""Tells whoever holds a request which release it waits for."""
AWAKE_HEADER = "x-pai-awake"
"""Says of a held call's answer that the release is awake now, so the call is sent again."""
SENT_AGAIN_MAX = 10
"""How often a held call is sent again at most: the threads of Envoy learn of a replica one by one."""
SHADOW_HEADER = "x-pai-shadow"
"""Marks the copy of a request; the gateway takes it from everybody else's."""
RETRY_AFTER_S = 1
RETRY_BUFFER_BYTES_MAX = 16 * 2**20
BODY_LIMIT_FILTER = "pai.body_limit"
NAMES_FILTER = "pai.names"

_RETRY_ON = "connect-failure,refused-stream,reset-before-request"
_FORMS = (
    "Known forms: /v2/models/NAME/..., /v2/models/NAME/versions/VERSION/..., /NAME/..., "
    "any path with Host NAME or NAME.*, gRPC with metadata x-pai-model: NAME, "
    "and GET /v2/health/live or /v2/health/ready."
)


def route_configuration() -> dict[str, Any]:
    """Return the one route configuration that serves every backend, without its virtual hosts."""
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "vhost_header": BACKEND_HEADER,
        "request_headers_to_remove": [BACKEND_HEADER],
        # The most specific value wins, and it replaces what a replica says of itself.
        "most_specific_header_mutations_wins": True,
    }


def everything_else(backends: Sequence[BackendRoute]) -> dict[str, Any]:
    """Return the virtual host for health and for all that names no backend; it knows their names."""
    return {
        "name": "*",
        "domains": ["*"],
        "typed_per_filter_config": {
            NAMES_FILTER: {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute",
                "filter_context": {route.backend: _sticky_cookie(route) for route in backends},
            }
        },
        "routes": [
            _health("/v2/health/live", '{"live": true}'),
            _health("/v2/health/ready", '{"ready": true}'),
            _answer({"prefix": "/"}, 404, f"no backend answers to this path or host. {_FORMS}"),
        ],
    }


def _sticky_cookie(route: BackendRoute) -> str:
    return (route.sticky and route.sticky.cookie) or ""


def _health(path: str, body: str) -> dict[str, Any]:
    match = {"path": path, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}
    return _answer(match, 200, body)


def virtual_host(route: BackendRoute) -> dict[str, Any]:
    """Return the virtual host of a backend: refusals first, then forced releases, then weights."""
    weights = live_weights(route)
    bytes_max = max((release.request_bytes_max for release in route.releases), default=0)
    routes = [_too_large(route.backend, {"prefix": "/"}, bytes_max)] if bytes_max else []
    for release in route.releases:
        routes += _forced(route.backend, release, bytes_max)
    known = ", ".join(release.version for release in route.releases) or "none"
    routes.append(
        _answer(
            _with_header({"prefix": "/"}, {"name": RELEASE_HEADER, "present_match": True}),
            404,
            f"backend {route.backend} has no release of the version asked for; known: {known}",
        )
    )
    routes += _weighted(route, dict(weights), bytes_max)
    routes = [*_grpc_routes(route), *routes]
    found: dict[str, Any] = {
        "name": route.backend,
        "domains": [route.backend],
        "retry_policy": _retry_policy(_RETRY_ON),
        "request_body_buffer_limit": min(bytes_max, RETRY_BUFFER_BYTES_MAX),
        "typed_per_filter_config": _body_limit(bytes_max) if bytes_max else {},
        "routes": routes,
    }
    if _sticky_cookie(route):
        minted = _header("set-cookie", "%DYNAMIC_METADATA(pai:set_cookie)%")
        minted["append_action"] = "APPEND_IF_EXISTS_OR_ADD"
        found["response_headers_to_add"] = [minted]
    return found


def _grpc_routes(route: BackendRoute) -> list[dict[str, Any]]:
    """Return the routes of gRPC calls, as far as a replica takes them; first, since other routes match them too."""
    reached = as_grpc(route)
    if not reached.releases:
        # Otherwise a call would reach an HTTP port, and end with what that makes of it.
        return [_not_ready(MATCH, f"backend {route.backend} has no ready replica that takes gRPC")]
    found = [made for one in reached.releases for made in _forced(route.backend, one, 0)]
    unforced = {"name": RELEASE_HEADER, "present_match": True, "invert_match": True}
    found += _weighted(reached, dict(live_weights(reached)), 0)
    found[-1]["match"] = _with_header(found[-1]["match"], unforced)
    return [_over_grpc(made) for made in found]


def _over_grpc(made: dict[str, Any]) -> dict[str, Any]:
    made["match"] = made["match"] | MATCH
    action = made.get("route")
    if action is not None:
        # A stream may last; the replica bounds each call by the release's own timeout.
        action["timeout"] = "0s"
        if "cluster" in action:
            action["cluster"] += SUFFIX
        for one in action.get("weighted_clusters", {}).get("clusters", ()):
            one["name"] += SUFFIX
        for one in action.get("request_mirror_policies", ()):
            one["cluster"] += SUFFIX
    return made


def _forced(backend: str, release: RoutedRelease, bytes_max: int) -> list[dict[str, Any]]:
    match = _with_header(
        {"prefix": "/"}, {"name": RELEASE_HEADER, "string_match": {"exact": release.version}}
    )
    if not can_take(release):
        return [_not_ready(match, f"release {backend}/{release.version} has no ready replica")]
    found = {
        "match": match,
        "route": _action((release,)) | {"cluster": cluster_name(backend, release.version)},
        "response_headers_to_add": [_release_header(backend, release.version)],
        **_hold(backend, release),
    }
    return _limited(backend, found, release.request_bytes_max, bytes_max)


def _weighted(route: BackendRoute, weights: dict[str, int], bytes_max: int) -> list[dict[str, Any]]:
    carrying = tuple(release for release in route.releases if weights.get(release.version))
    if not carrying:
        return [_not_ready({"prefix": "/"}, f"backend {route.backend} has no ready replica")]
    clusters = [
        {
            "name": cluster_name(route.backend, release.version),
            "weight": weights[release.version],
            "response_headers_to_add": [_release_header(route.backend, release.version)],
            **_hold(route.backend, release),
        }
        for release in route.releases
    ]
    split: dict[str, Any] = {"clusters": clusters}
    action = _action(carrying)
    if route.sticky is not None:
        split["use_hash_policy"] = True
        action["hash_policy"] = [_hash_policy(route.sticky)]
    action |= _mirrored(route)
    found = {"match": {"prefix": "/"}, "route": action | {"weighted_clusters": split}}
    limit = max(release.request_bytes_max for release in carrying)
    return _limited(route.backend, found, limit, bytes_max)


def _mirrored(route: BackendRoute) -> dict[str, Any]:
    """Return the policy that copies a share of requests to a release, while it can answer."""
    mirror = route.mirror
    if mirror is None or mirror.points == 0:
        return {}
    chosen = next((r for r in route.releases if r.version == mirror.version), None)
    if chosen is None or all(replica.is_draining for replica in chosen.replicas):
        return {}
    marked = {"append": _header(SHADOW_HEADER, "1")}
    return {
        "request_mirror_policies": [
            {
                "cluster": cluster_name(route.backend, mirror.version),
                "runtime_fraction": {
                    "default_value": {"numerator": mirror.points, "denominator": "TEN_THOUSAND"}
                },
                # The host stays what it was: a model may read it. The mark tells copies apart.
                "disable_shadow_host_suffix_append": True,
                "request_headers_mutations": [marked],
            }
        ]
    }


def _limited(
    backend: str, found: dict[str, Any], limit: int, backend_limit: int
) -> list[dict[str, Any]]:
    if limit >= backend_limit:
        return [found]
    found["typed_per_filter_config"] = _body_limit(limit)
    return [_too_large(backend, found["match"], limit), found]


def _action(releases: tuple[RoutedRelease, ...]) -> dict[str, Any]:
    # A weighted route has one timeout; the replica itself enforces its release's own, shorter one.
    timeout_s = max(
        release.request_timeout_s + (release.hold.wait_s if release.hold else 0.0)
        for release in releases
    )
    action: dict[str, Any] = {
        "timeout": _seconds(timeout_s),
        # Without it a stream that waits longer than the listener's idle limit would be cut.
        "idle_timeout": _seconds(timeout_s + 5),
    }
    retry_on = _RETRY_ON
    if all(release.is_idempotent for release in releases):
        retry_on = f"{_RETRY_ON},reset"
        action["retry_policy"] = _retry_policy(retry_on)
    if any(is_held(release) for release in releases):
        action["retry_policy"] = _retry_policy(f"{retry_on},retriable-headers") | {
            "retriable_headers": [{"name": AWAKE_HEADER, "present_match": True}],
            "num_retries": SENT_AGAIN_MAX,
        }
    return action


def _retry_policy(retry_on: str) -> dict[str, Any]:
    # What broke before anything was sent may always be sent again; "reset" means sent and broken.
    return {
        "retry_on": retry_on,
        "num_retries": 2,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.050s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts"
                    ".v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 5,
    }


def _hash_policy(sticky: Sticky) -> dict[str, Any]:
    if sticky.header is not None:
        return {"header": {"header_name": sticky.header.lower()}}
    return {"cookie": {"name": sticky.cookie}}


def _hold(backend: str, release: RoutedRelease) -> dict[str, Any]:
    if not is_held(release):
        return {}
    name = cluster_name(backend, release.version)
    return {"request_headers_to_add": [_header(HOLD_HEADER, name)]}


def _release_header(backend: str, version: str) -> dict[str, Any]:
    return _header(RELEASE_HEADER, f"{backend}/{version}")


def _header(name: str, value: str) -> dict[str, Any]:
    return {
        "header": {"key": name, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def _with_header(match: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    return match | {"headers": [*match.get("headers", []), header]}


def _too_large(backend: str, match: dict[str, Any], bytes_max: int) -> dict[str, Any]:
    # Only a declared length is refused here; the body limit filter counts undeclared ones.
    above = {"start": bytes_max + 1, "end": 2**62}
    return _answer(
        _with_header(match, {"name": "content-length", "range_match": above}),
        413,
        f"the request body is larger than {bytes_max} bytes, which {backend} accepts; "
        "see limits.request_size in its spec",
    )


def _body_limit(bytes_max: int) -> dict[str, Any]:
    return {
        BODY_LIMIT_FILTER: {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
            "buffer": {"max_request_bytes": bytes_max},
        }
    }


def _not_ready(match: dict[str, Any], text: str) -> dict[str, Any]:
    answer = _answer(match, 503, f"{text}; try again in a moment")
    return answer | {"response_headers_to_add": [_header("retry-after", str(RETRY_AFTER_S))]}


def _answer(match: dict[str, Any], status: int, body: str) -> dict[str, Any]:
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": body}},
    }


def _seconds(value: float) -> str:
    return f"{value:.3f}s"
