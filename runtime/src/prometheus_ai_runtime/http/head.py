"""Request heads: raw bytes enter, a checked Head leaves, remembered for the next equal head."""

import re
from collections.abc import Callable
from copy import copy
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

_HEADERS_MAX = 100
_CACHED_MAX = 512
_CACHED_BYTES_MAX = 1024
# Headers whose values differ from request to request. Of these only the request id is of use here, so
# that heads which differ in nothing else are one.
_VARYING = re.compile(
    rb"\r\n(?:(x-request-id)|traceparent|tracestate|b3|x-b3-[a-z]+|x-amzn-trace-id|x-cloud-trace-context"
    rb"|idempotency-key|x-forwarded-for|x-envoy-external-address): ?([^\r\n]*)",
    re.IGNORECASE,
)
_STAND_IN = b"0"
_ID_CHARACTERS = bytes(range(0x21, 0x7F))
_VALUE_CHARACTERS = b" " + _ID_CHARACTERS
_ID_BYTES_MAX = 256


class BadHead(Exception):
    """A head that cannot be served; the connection is closed after the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Head:
    """One request head; immutable once parsed, shared by equal requests."""

    __slots__ = (
        "chunked",
        "connection",
        "content_length",
        "expects_continue",
        "handler",
        "headers",
        "json_bytes",
        "keep_alive",
        "method",
        "model",
        "ordinary",
        "path",
        "plain",
        "query",
        "request_id",
        "version",
    )

    def __init__(self) -> None:
        self.method = b""
        self.path = ""
        self.query = ""
        self.headers: dict[bytes, bytes] = {}
        self.keep_alive = True
        self.connection = b""
        """The response's connection header line, empty where HTTP/1.1 needs none."""
        self.content_length = 0
        self.chunked = False
        self.expects_continue = False
        self.json_bytes: int | None = None
        self.request_id = b""
        self.plain = True
        """Whether nothing in the head asks for more than a plain body and a default answer."""
        self.ordinary = False
        """Whether nothing in the head changes how a JSON body is read or answered."""
        self.handler: Callable[..., Any] | None = None
        self.model = ""
        self.version = ""


class _Reader:
    """Collects what the parser calls back."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.done = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.done = True


def parse_head(raw: bytes) -> Head:
    """Parse a head without its closing empty line; raises BadHead."""
    reader = _Reader()
    parser = httptools.HttpRequestParser(reader)
    try:
        parser.feed_data(raw + b"\r\n\r\n")
    except httptools.HttpParserUpgrade:
        # An offer to change protocols may be ignored, and is.
        pass
    except httptools.HttpParserError as error:
        raise BadHead(400, f"malformed HTTP: {error}") from None
    if not reader.done:
        raise BadHead(400, "malformed HTTP: the head is incomplete")
    if len(reader.headers) > _HEADERS_MAX:
        raise BadHead(431, f"more than {_HEADERS_MAX} header lines")
    version = parser.get_http_version()
    if version not in ("1.1", "1.0"):
        raise BadHead(505, f"HTTP/{version} is not spoken here; use HTTP/1.1")
    head = Head()
    head.method = parser.get_method()
    _read_target(head, reader.url)
    _read_headers(head, reader.headers)
    if version == "1.1" and b"host" not in head.headers:
        raise BadHead(400, "the Host header is missing")
    head.keep_alive = parser.should_keep_alive()
    if not head.keep_alive:
        head.connection = b"connection: close\r\n"
    elif version == "1.0":
        head.connection = b"connection: keep-alive\r\n"
    head.ordinary = head.plain and not (
        head.connection
        or head.json_bytes is not None
        or b"event-stream" in head.headers.get(b"accept", b"")
    )
    return head


def _read_target(head: Head, url: bytes) -> None:
    if url.startswith((b"http://", b"https://")):
        url = b"/" + url.split(b"/", 3)[3] if url.count(b"/") >= 3 else b"/"
    path, _, query = url.partition(b"?")
    try:
        head.path = (unquote_to_bytes(path) if b"%" in path else path).decode()
        head.query = query.decode()
    except UnicodeDecodeError:
        raise BadHead(400, "the path is not UTF-8") from None


def _read_headers(head: Head, pairs: list[tuple[bytes, bytes]]) -> None:
    headers = head.headers
    for name, value in pairs:
        if name in headers:
            if name in (b"content-length", b"transfer-encoding", b"host"):
                raise BadHead(400, f"{name.decode()} is given twice")
            headers[name] += b", " + value
        else:
            headers[name] = value
    length = headers.get(b"content-length")
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        # Two ways to frame one body is how requests are smuggled.
        if length is not None:
            raise BadHead(400, "both Content-Length and Transfer-Encoding are given")
        if coding.strip().lower() != b"chunked":
            raise BadHead(501, "the only transfer coding here is chunked")
        head.chunked = True
    if length is not None:
        head.content_length = _number(length, "Content-Length")
    expect = headers.get(b"expect")
    if expect is not None:
        if expect.strip().lower() != b"100-continue":
            raise BadHead(417, "the only expectation met here is 100-continue")
        head.expects_continue = True
    json_bytes = headers.get(b"inference-header-content-length")
    if json_bytes is not None:
        head.json_bytes = _number(json_bytes, "Inference-Header-Content-Length")
    request_id = headers.get(b"x-request-id", b"")
    if len(request_id) > _ID_BYTES_MAX or not request_id.isascii():
        raise BadHead(400, f"x-request-id must be at most {_ID_BYTES_MAX} ASCII characters")
    head.request_id = request_id
    head.plain = not any(name in headers for name in _NOT_PLAIN)


_NOT_PLAIN = (
    b"content-encoding",
    b"x-pai-timeout-ms",
    b"x-envoy-expected-rq-timeout-ms",
    b"x-pai-priority",
    b"x-pai-tenant",
)


def _number(value: bytes, name: str) -> int:
    value = value.strip()
    if not value.isdigit() or len(value) > 15:
        raise BadHead(400, f"{name} is not a number")
    return int(value)


Piece = tuple[int, bytes]
"""What is between two holes of a head, and where it begins."""


class Stencil:
    """A head as one client sends it, with holes where values differ from request to request."""

    __slots__ = ("_holes", "_id_at", "_id_end", "_pieces", "head", "size", "start")

    def __init__(self, head: Head, pieces: list[Piece], holes: list[re.Match[bytes]]) -> None:
        self.head = head
        """Shared by all heads that fit; what was in the holes is not in it."""
        self._pieces = pieces
        self._id_at = self._id_end = 0
        self._holes: list[tuple[int, int]] = []
        for found in holes:
            if found[1]:
                self._id_at, self._id_end = found.span(2)
            else:
                self._holes.append(found.span(2))
        self.start = pieces[0][1]
        """What every request that fits begins with."""
        at, last = pieces[-1]
        self.size = at + len(last)

    def fits(self, data: bytes) -> bool:
        """Whether a request begins with such a head."""
        for at, piece in self._pieces:
            if not data.startswith(piece, at):
                return False
        # A line's end in a hole would begin another header.
        for start, end in self._holes:
            if data[start:end].translate(None, _VALUE_CHARACTERS):
                return False
        return not data[self._id_at : self._id_end].translate(None, _ID_CHARACTERS)

    def with_further(self, text: bytes) -> "Stencil":
        """The same with more text after the head."""
        made = copy(self)
        at, piece = self._pieces[-1]
        made._pieces = [*self._pieces[:-1], (at, piece + text)]  # noqa: SLF001 - its own
        return made

    def request_id(self, data: bytes) -> bytes:
        """The id that a request which fits brought; empty if it brought none."""
        return data[self._id_at : self._id_end]


class HeadCache:
    """Heads by their raw bytes; clients on keep-alive send the same head again and again."""

    __slots__ = ("_by_pieces", "_resolve", "heads")

    def __init__(self, resolve: Callable[[Head], None]) -> None:
        self._resolve = resolve
        self.heads: dict[bytes, Head] = {}
        self._by_pieces: dict[tuple[bytes, ...], Head] = {}
        """Heads by what is around their varying values."""

    def parse(self, raw: bytes) -> Head:
        """Parse, resolve the handler, and remember the head when the next one may be equal."""
        head = parse_head(raw)
        self._resolve(head)
        if _is_repeatable(head, raw) and _VARYING.search(raw) is None:
            _remember(self.heads, raw, head)
        return head

    def stencil(self, raw: bytes) -> Stencil | None:
        """What fits a head, with its empty line, that has varying values; None: it must be parsed."""
        holes = list(_VARYING.finditer(raw))
        if not holes or len(raw) > _CACHED_BYTES_MAX:
            return None
        pieces = _cut(raw, holes)
        texts = tuple([piece for _at, piece in pieces])
        head = self._by_pieces.get(texts) or self._without_values(texts)
        if head is None:
            return None
        made = Stencil(head, pieces, holes)
        # An id that is wrong, or that is there twice, is for the long way to judge.
        return made if made.fits(raw) and len(made.request_id(raw)) <= _ID_BYTES_MAX else None

    def _without_values(self, pieces: tuple[bytes, ...]) -> Head | None:
        raw = _STAND_IN.join(pieces).removesuffix(b"\r\n\r\n")
        try:
            head = parse_head(raw)
        except BadHead:
            return None
        if head.request_id not in (b"", _STAND_IN) or not _is_repeatable(head, raw):
            return None
        head.request_id = b""
        self._resolve(head)
        _remember(self._by_pieces, pieces, head)
        return head


def _cut(raw: bytes, holes: list[re.Match[bytes]]) -> list[Piece]:
    at, pieces = 0, []
    for found in holes:
        pieces.append((at, raw[at : found.start(2)]))
        at = found.end(2)
    return [*pieces, (at, raw[at:])]


def _is_repeatable(head: Head, raw: bytes) -> bool:
    is_plainly_framed = not head.chunked and not head.expects_continue and head.keep_alive
    return is_plainly_framed and len(raw) <= _CACHED_BYTES_MAX


def _remember(heads: dict[Any, Head], key: Any, head: Head) -> None:
    if len(heads) >= _CACHED_MAX:
        heads.clear()
    heads[key] = head
