"""gRPC status codes, and which one each error of the server is."""

from prometheus_ai_runtime.errors import RequestError
from prometheus_ai_runtime.http2.hpack import literal

OK = 0
CANCELLED = 1
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14

CODE_OF = {
    "invalid": INVALID_ARGUMENT,
    "not_found": NOT_FOUND,
    "too_large": RESOURCE_EXHAUSTED,
    "overloaded": RESOURCE_EXHAUSTED,
    "cancelled": CANCELLED,
    "model_failed": INTERNAL,
    "internal": INTERNAL,
    "unavailable": UNAVAILABLE,
    "deadline": DEADLINE_EXCEEDED,
    "unimplemented": UNIMPLEMENTED,
}
"""The status of each ``RequestError.code``."""

_MESSAGE_CHARACTERS_MAX = 1024
_PLAIN = frozenset(range(0x20, 0x7F)) - {ord("%")}

# :status 200, content-type application/grpc; what this server sends before any answer.
OPENING = b"\x88" + literal(b"content-type", b"application/grpc")
ACCEPTED = literal(b"grpc-accept-encoding", b"identity, deflate, gzip")
STATUS_OK = literal(b"grpc-status", b"0")


class Unimplemented(RequestError):
    """No such method, or one that this server does not offer."""

    code = "unimplemented"


class Malformed(RequestError):
    """Bytes that are no message of the protocol; gRPC calls that an internal error."""

    code = "internal"


def closing(error: RequestError) -> bytes:
    """The trailers that tell an error."""
    trailers = literal(b"grpc-status", b"%d" % CODE_OF[error.code])
    trailers += literal(b"grpc-message", percent_encoded(error.message))
    if error.release:
        trailers += literal(b"x-pai-release", error.release.encode())
    if error.retry_after_s is not None:
        trailers += literal(b"grpc-retry-pushback-ms", b"%d" % (error.retry_after_s * 1000))
        trailers += literal(b"retry-after", b"%d" % error.retry_after_s)
    return trailers


def percent_encoded(message: str) -> bytes:
    """A status message as gRPC writes it into a header."""
    raw = message[:_MESSAGE_CHARACTERS_MAX].encode(errors="replace")
    if _PLAIN.issuperset(raw):
        return raw
    return b"".join(bytes((b,)) if b in _PLAIN else b"%%%02X" % b for b in raw)
