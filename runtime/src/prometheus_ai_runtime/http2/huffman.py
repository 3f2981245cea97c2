"""The Huffman code of HTTP/2 header values (RFC 7541, appendix B)."""

from functools import lru_cache

# The code is canonical: the lengths alone, symbol by symbol, define it. Symbol 256 ends a string.
_LENGTHS = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c"
    "060a0a0c0d06080b0a0a080b080606060505050606060606060607080f060c0a"
    "0d06070707070707070707070707070707070707070707070807080d130d0e06"
    "0f05060506050606060507070606060506070605050607070707070f0b0e0d1c"
    "1416141416161617161717171717181718181617181717171715161716171718"
    "1615141616171715171616181516171715151615171617171416161617161617"
    "1a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b"
    "14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a"
    "1e"
)
_END = 256
_LENGTH_MAX = 30


class BadHuffman(ValueError):
    """A header value that is no Huffman string."""


def _tables() -> tuple[list[int], list[int], list[int], list[int]]:
    ordered = sorted(range(len(_LENGTHS)), key=lambda symbol: (_LENGTHS[symbol], symbol))
    first_code = [0] * (_LENGTH_MAX + 2)
    first_index = [0] * (_LENGTH_MAX + 2)
    counts = [0] * (_LENGTH_MAX + 2)
    for length in _LENGTHS:
        counts[length] += 1
    code = index = 0
    for length in range(1, _LENGTH_MAX + 1):
        first_code[length], first_index[length] = code, index
        code = (code + counts[length]) << 1
        index += counts[length]
    return ordered, first_code, first_index, counts


_ORDERED, _FIRST_CODE, _FIRST_INDEX, _COUNTS = _tables()


@lru_cache(maxsize=1024)
def decode(data: bytes) -> bytes:
    """Decode a Huffman string; raises BadHuffman."""
    out = bytearray()
    code = length = 0
    for byte in data:
        for shift in (7, 6, 5, 4, 3, 2, 1, 0):
            code = code << 1 | byte >> shift & 1
            length += 1
            offset = code - _FIRST_CODE[length]
            if 0 <= offset < _COUNTS[length]:
                symbol = _ORDERED[_FIRST_INDEX[length] + offset]
                if symbol == _END:
                    raise BadHuffman("the end symbol stands inside a string")
                out.append(symbol)
                code = length = 0
            elif length > _LENGTH_MAX:
                raise BadHuffman("no such code")
    if length > 7 or code != (1 << length) - 1:
        raise BadHuffman("the padding is not the start of the end symbol")
    return bytes(out)
