"""How a held gRPC call is told that it is not passed on: a status, words, and when to come back."""

import base64
import urllib.parse

UNIMPLEMENTED = 12
UNAVAILABLE = 14
RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
# All that is printable in ASCII but the percent sign stands for itself, says the protocol.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def refusal_headers(status: int, text: str, retry_s: int) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer that is nothing but a status.

    Clients with a retry policy wait as ``grpc-retry-pushback-ms`` says; others read the same as
    ``google.rpc.RetryInfo``.
    """
    found = [
        (b"content-type", b"application/grpc"),
        (b"grpc-status", str(status).encode()),
        (b"grpc-message", urllib.parse.quote(text, safe=_PLAIN).encode()),
    ]
    if status != UNAVAILABLE:
        return found
    details = base64.b64encode(_details(status, text, retry_s)).rstrip(b"=")
    return [
        *found,
        (b"grpc-status-details-bin", details),
        (b"grpc-retry-pushback-ms", str(retry_s * 1000).encode()),
        (b"retry-after", str(retry_s).encode()),
    ]


def _details(status: int, text: str, retry_s: int) -> bytes:
    """Return ``google.rpc.Status`` with a ``RetryInfo``; fields 1 to 3 are code, message and details."""
    info = _bytes(1, RETRY_INFO.encode()) + _bytes(2, _bytes(1, _number(1, retry_s)))
    return _number(1, status) + _bytes(2, text.encode()) + _bytes(3, info)


def _bytes(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
