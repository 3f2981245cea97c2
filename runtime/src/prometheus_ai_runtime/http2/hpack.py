"""HTTP/2 header compression (RFC 7541): a full decoder, and an encoder without memory."""

from collections import deque

from prometheus_ai_runtime.http2.huffman import BadHuffman, decode

Headers = tuple[tuple[bytes, bytes], ...]

_STATIC = (
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
)
_ENTRY_OVERHEAD = 32
_TABLE_BYTES_MAX = 4096
_INTEGER_BYTES_MAX = 5


class BadHeaders(ValueError):
    """A header block that breaks the rules; the connection cannot go on."""


class TooManyHeaders(BadHeaders):
    """A header list larger than announced."""


class Decoder:
    """One connection's header memory."""

    __slots__ = ("_entries", "_list_bytes_max", "_size", "_size_max", "changed")

    def __init__(self, list_bytes_max: int) -> None:
        self._entries: deque[tuple[bytes, bytes]] = deque()
        self._size = 0
        self._size_max = _TABLE_BYTES_MAX
        self._list_bytes_max = list_bytes_max
        self.changed = False
        """Whether the last block altered the memory, so that earlier blocks may mean something else."""

    def decode(self, block: bytes) -> Headers:
        """Decode one header block; raises BadHeaders."""
        found: list[tuple[bytes, bytes]] = []
        size = position = 0
        self.changed = False
        try:
            while position < len(block):
                byte = block[position]
                if byte & 0x80:
                    index, position = _integer(block, position, 7)
                    pair = self._entry(index)
                elif byte & 0xE0 == 0x20:
                    wanted, position = _integer(block, position, 5)
                    self._resize(wanted, is_first=not found)
                    self.changed = True
                    continue
                else:
                    remember = bool(byte & 0x40)
                    pair, position = self._literal(block, position, 6 if remember else 4)
                    if remember:
                        self._add(pair)
                        self.changed = True
                size += len(pair[0]) + len(pair[1]) + _ENTRY_OVERHEAD
                if size > self._list_bytes_max:
                    raise TooManyHeaders(f"more than {self._list_bytes_max} bytes of headers")
                found.append(pair)
        except (IndexError, BadHuffman) as error:
            raise BadHeaders(str(error)) from error
        return tuple(found)

    def _literal(self, block: bytes, position: int, prefix: int) -> tuple[tuple[bytes, bytes], int]:
        index, position = _integer(block, position, prefix)
        if index:
            name = self._entry(index)[0]
        else:
            name, position = _string(block, position)
        value, position = _string(block, position)
        return (name, value), position

    def _entry(self, index: int) -> tuple[bytes, bytes]:
        if 0 < index <= len(_STATIC):
            return _STATIC[index - 1]
        if index == 0 or index > len(_STATIC) + len(self._entries):
            raise BadHeaders(f"no header has index {index}")
        return self._entries[index - len(_STATIC) - 1]

    def _add(self, pair: tuple[bytes, bytes]) -> None:
        self._entries.appendleft(pair)
        self._size += len(pair[0]) + len(pair[1]) + _ENTRY_OVERHEAD
        self._evict()

    def _resize(self, size: int, *, is_first: bool) -> None:
        if size > _TABLE_BYTES_MAX or not is_first:
            raise BadHeaders("a header table size that was not offered")
        self._size_max = size
        self._evict()

    def _evict(self) -> None:
        while self._size > self._size_max:
            name, value = self._entries.pop()
            self._size -= len(name) + len(value) + _ENTRY_OVERHEAD


def literal(name: bytes, value: bytes) -> bytes:
    """Encode one header that neither side remembers; both parts are shorter than 127 bytes or not."""
    return b"\0" + _sized(name) + _sized(value)


def _sized(text: bytes) -> bytes:
    if len(text) < 127:
        return bytes((len(text),)) + text
    rest = len(text) - 127
    encoded = bytearray((127,))
    while rest >= 128:
        encoded.append(rest & 127 | 128)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded) + text


def _integer(block: bytes, position: int, prefix: int) -> tuple[int, int]:
    limit = (1 << prefix) - 1
    value = block[position] & limit
    position += 1
    if value < limit:
        return value, position
    for shift in range(0, 7 * _INTEGER_BYTES_MAX, 7):
        byte = block[position]
        position += 1
        value += (byte & 127) << shift
        if byte < 128:
            return value, position
    raise BadHeaders("a number that is too long")


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    is_huffman = block[position] & 0x80
    length, position = _integer(block, position, 7)
    end = position + length
    if end > len(block):
        raise BadHeaders("a header runs past the end of its block")
    raw = block[position:end]
    return (decode(raw) if is_huffman else raw), end
