"""Response bytes: status lines and heads formatted once."""

from collections.abc import Iterable
from http import HTTPStatus

import orjson

from prometheus_ai_runtime.errors import RequestError

STATUS_OF = {
    "invalid": 400,
    "not_found": 404,
    "too_large": 413,
    "unsupported": 415,
    "overloaded": 429,
    "cancelled": 499,
    "model_failed": 500,
    "internal": 500,
    "unavailable": 503,
    "deadline": 504,
}
_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_LINES[499] = b"HTTP/1.1 499 Client Closed Request\r\n"

JSON = b"application/json"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Header = tuple[bytes, bytes]


def response(
    status: int, body: bytes, content_type: bytes = JSON, headers: Iterable[Header] = ()
) -> bytes:
    """A whole response with its length; ``headers`` are further lines."""
    extra = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    if status == 204:
        return _LINES[status] + extra + b"\r\n"
    return b"%bcontent-type: %b\r\n%bcontent-length: %d\r\n\r\n%b" % (
        _LINES[status],
        content_type,
        extra,
        len(body),
        body,
    )


def error_body(message: str) -> bytes:
    """The protocol's error object."""
    return orjson.dumps({"error": message})


def error_headers(error: RequestError) -> list[Header]:
    """What an error answer carries beside its body."""
    lines = []
    if error.release:
        lines.append((b"x-pai-release", error.release.encode()))
    if error.retry_after_s is not None:
        lines.append((b"retry-after", b"%d" % error.retry_after_s))
    return lines
