"""Heads that ask for more than the plain case: compressed bodies, deadlines, priority, tenant."""

import zlib

from prometheus_ai_runtime.errors import InvalidRequest, TooLarge
from prometheus_ai_runtime.http.exchange import Exchange

_WINDOW = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
_RAW_DEFLATE = -15
_TENANT_BYTES_MAX = 64


def prepare(exchange: Exchange, size_max: int) -> None:
    """Read the head's wishes into the exchange and decompress its body."""
    headers = exchange.head.headers
    timeout_ms = headers.get(b"x-pai-timeout-ms") or headers.get(b"x-envoy-expected-rq-timeout-ms")
    if timeout_ms is not None:
        if not timeout_ms.isdigit() or len(timeout_ms) > 9:
            raise InvalidRequest("the timeout header must be a whole number of milliseconds")
        exchange.timeout_s = int(timeout_ms) / 1e3
    priority = headers.get(b"x-pai-priority")
    if priority is not None:
        if not priority.isdigit() or len(priority) > 1:
            raise InvalidRequest("x-pai-priority must be 0 (first) to 9 (last)")
        exchange.priority = int(priority)
    tenant = headers.get(b"x-pai-tenant")
    if tenant is not None:
        if len(tenant) > _TENANT_BYTES_MAX or not tenant.isascii():
            raise InvalidRequest(
                f"x-pai-tenant must be at most {_TENANT_BYTES_MAX} ASCII characters"
            )
        exchange.tenant = tenant.decode()
    coding = headers.get(b"content-encoding")
    if coding is not None and coding.strip().lower() != b"identity":
        exchange.body = decompress(exchange.body, coding.strip().lower(), size_max)


def decompress(body: bytes | memoryview, coding: bytes, size_max: int) -> bytes:
    """Undo one content coding, never making more than ``size_max`` bytes."""
    window = _WINDOW.get(coding)
    if window is None:
        raise InvalidRequest(f"content-encoding {coding[:40]!r} is not known; use gzip or deflate")
    try:
        return _inflate(body, window, size_max)
    except zlib.error as error:
        if coding == b"deflate":
            try:
                return _inflate(body, _RAW_DEFLATE, size_max)
            except zlib.error:
                pass
        raise InvalidRequest(f"the body is not {coding.decode()}: {error}") from None


def _inflate(body: bytes | memoryview, window: int, size_max: int) -> bytes:
    engine = zlib.decompressobj(window)
    out = engine.decompress(body, size_max + 1)
    if len(out) > size_max:
        raise TooLarge(f"the decompressed body is larger than {size_max} bytes")
    if not engine.eof:
        raise InvalidRequest("the compressed body ends early")
    if engine.unused_data:
        raise InvalidRequest("bytes follow the compressed body")
    return out
