"""What a call's header list asks for, read once for each distinct list."""

import re

from prometheus_ai_runtime.errors import InvalidRequest, RequestError
from prometheus_ai_runtime.http2.call import CallHead, Methods
from prometheus_ai_runtime.http2.hpack import BadHeaders, Headers
from prometheus_ai_runtime.http2.status import Unimplemented

_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])")
_UNIT_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_ENCODINGS = (b"identity", b"gzip", b"deflate")
_PSEUDO = (b":method", b":path", b":scheme", b":authority")
_NEVER = (b"connection", b"transfer-encoding", b"upgrade", b"keep-alive", b"proxy-connection")
_REQUEST_ID_BYTES_MAX = 256


def read_head(headers: Headers, methods: Methods) -> CallHead:
    """Read a header list; raises BadHeaders when it is no request, refuses what is no call."""
    values: dict[bytes, bytes] = {}
    for name, value in headers:
        if name.startswith(b":"):
            if name not in _PSEUDO or name in values:
                raise BadHeaders("pseudo-headers that are no request")
        elif name in _NEVER or name != name.lower():
            raise BadHeaders("a header that HTTP/2 does not allow")
        values[name] = value
    head = CallHead()
    if b":method" not in values or b":path" not in values:
        raise BadHeaders("a request without a method or path")
    if values[b":method"] != b"POST":
        head.http_status = 405
        return head
    if not values.get(b"content-type", b"").startswith(b"application/grpc"):
        head.http_status = 415
        return head
    try:
        _fill(head, values, methods)
    except RequestError as error:
        head.refusal = error
    else:
        head.unary = None if head.method is None else head.method.unary
    return head


def _fill(head: CallHead, values: dict[bytes, bytes], methods: Methods) -> None:
    path = values[b":path"]
    head.method = methods.get(path)
    if head.method is None:
        raise Unimplemented(f"no such method: {path[:120].decode(errors='replace')}")
    timeout = values.get(b"grpc-timeout")
    if timeout is not None:
        match = _TIMEOUT.fullmatch(timeout)
        if match is None:
            raise InvalidRequest("grpc-timeout must be up to eight digits and a unit")
        head.timeout_s = int(match.group(1)) * _UNIT_S[match.group(2)]
    head.encoding = values.get(b"grpc-encoding", b"identity")
    if head.encoding not in _ENCODINGS:
        raise Unimplemented("grpc-encoding must be identity, gzip or deflate")
    request_id = values.get(b"x-request-id", b"")
    if len(request_id) > _REQUEST_ID_BYTES_MAX or not request_id.isascii():
        raise InvalidRequest("x-request-id must be at most 256 ASCII characters")
    head.request_id = request_id
    head.tenant = values.get(b"x-pai-tenant", b"")[:_REQUEST_ID_BYTES_MAX].decode("latin-1")
    priority = values.get(b"x-pai-priority")
    if priority is not None:
        if not priority.isdigit() or len(priority) > 1:
            raise InvalidRequest("x-pai-priority must be 0 (first) to 9 (last)")
        head.priority = int(priority)
