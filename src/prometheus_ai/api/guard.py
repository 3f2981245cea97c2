"""What every request passes before a route sees it: host, size; and headers that every answer carries."""

import json
from collections.abc import Collection, Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prometheus_ai.domain.errors import InvalidInput, PlatformError, Refused

BODY_BYTES_MAX = 4 * 2**20
"""Largest JSON body; uploads of artefacts are streamed and bounded by the disk."""
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
UPLOAD_PREFIX = "/api/v1/artefacts/sha256:"

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_API_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Guard:
    """Wraps the application.

    ``hosts`` are the names under which it may be addressed: on loopback only loopback's own, so that a web
    page cannot reach it through a name that it rebinds. None allows every name.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None = LOOPBACK_HOSTS) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        guarded = _with_headers(send, scope["path"])
        if self._hosts is not None and _host(headers) not in self._hosts:
            error = Refused(
                f"Host {headers.get(b'host', b'').decode('latin-1')!r} is not one of this server's names",
                hint=f"use {' or '.join(sorted(self._hosts))}",
            )
            await _refuse(guarded, 403, error)
            return
        if scope["path"].startswith(UPLOAD_PREFIX) and scope["method"] == "PUT":
            await self._app(scope, receive, guarded)
            return
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > BODY_BYTES_MAX:
            await _refuse(guarded, 413, _too_large())
            return
        await self._app(scope, _bounded(receive), guarded)


def error_body(
    error: PlatformError, problems: Iterable[dict[str, object]] = (), source: str = ""
) -> dict[str, object]:
    """Return the one shape that every error has."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "problems": list(problems),
            "source": source,
        }
    }


def _host(headers: dict[bytes, bytes]) -> str:
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _with_headers(send: Send, path: str) -> Send:
    added = (*_HEADERS, _API_POLICY) if path.startswith(("/api/", "/healthz")) else _HEADERS

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", ())}
            extra = [pair for pair in added if pair[0] not in present]
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return guarded


def _bounded(receive: Receive) -> Receive:
    """Count a body of undeclared length; beyond the bound the client counts as gone."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > BODY_BYTES_MAX:
                return {"type": "http.disconnect"}
        return message

    return counted


def _too_large() -> PlatformError:
    return InvalidInput(
        f"the body is larger than {BODY_BYTES_MAX >> 20} MiB",
        hint="models are uploaded with PUT /api/v1/artefacts/DIGEST",
    )


async def _refuse(send: Send, status: int, error: PlatformError) -> None:
    body = json.dumps(error_body(error)).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
