"""Protocol buffers on the wire: varints, tagged fields, packed numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus_ai_runtime.http2.status import Malformed

VARINT, FIXED64, SIZED, FIXED32 = 0, 1, 2, 5

_VARINT_BYTES_MAX = 10
_TAG_MAX = (1 << 32) - 1
_U64 = (1 << 64) - 1

Field = tuple[int, int, int, int, int]
"""Number, wire kind, value (or 0), start and end of a sized or fixed value."""


def varint(value: int) -> bytes:
    """Encode a whole number; negative ones take ten bytes, as int64 fields do."""
    value &= _U64
    if value < 128:
        return bytes((value,))
    encoded = bytearray()
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def sized(number: int, value: bytes) -> bytes:
    """Encode a length-delimited field: text, bytes or a message."""
    return varint(number << 3 | SIZED) + varint(len(value)) + value


def text(number: int, value: str) -> bytes:
    """Encode a string field; an empty one is left out."""
    return sized(number, value.encode()) if value else b""


def flag(number: int, value: bool) -> bytes:
    """Encode a bool field; false is left out."""
    return varint(number << 3) + b"\1" if value else b""


def packed(number: int, values: tuple[int, ...]) -> bytes:
    """Encode a packed repeated integer field."""
    return sized(number, b"".join(map(varint, values))) if values else b""


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Decode a varint; gives it and the next position."""
    try:
        byte = data[position]
        if byte < 128:
            return byte, position + 1
        value, shift = byte & 127, 7
        for offset in range(1, _VARINT_BYTES_MAX):
            byte = data[position + offset]
            value |= (byte & 127) << shift
            if byte < 128:
                return value & _U64, position + offset + 1
            shift += 7
    except IndexError:
        raise Malformed("the message ends inside a number") from None
    raise Malformed("a number of more than ten bytes")


def fields(data: bytes, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of a message that lies in ``data[start:end]``."""
    position = start
    while position < end:
        tag, position = read_varint(data, position)
        number, kind = tag >> 3, tag & 7
        if not number or tag > _TAG_MAX:
            raise Malformed("a field without a number")
        value, begin = 0, position
        if kind == SIZED:
            length, begin = read_varint(data, position)
            position = begin + length
        elif kind == VARINT:
            value, position = read_varint(data, position)
        elif kind == FIXED32:
            position += 4
        elif kind == FIXED64:
            position += 8
        else:
            raise Malformed(f"field {number} has the unknown wire kind {kind}")
        if position > end:
            raise Malformed(f"field {number} runs past the end of its message")
        yield number, kind, value, begin, position


def read_text(data: bytes, start: int, end: int) -> str:
    """Decode a string field."""
    try:
        return data[start:end].decode()
    except UnicodeDecodeError:
        raise Malformed("a string that is not UTF-8") from None


def signed(value: int) -> int:
    """Read a varint as int64."""
    return value - (1 << 64) if value >> 63 else value


def packed_varints(data: bytes, start: int, end: int) -> NDArray[Any]:
    """Decode packed varints to uint64, all at once."""
    raw = np.frombuffer(data, np.uint8, end - start, start)
    last = raw < 128
    if not raw.size:
        return np.empty(0, np.uint64)
    if not last[-1]:
        raise Malformed("the message ends inside a number")
    if last.all():
        return raw.astype(np.uint64)
    stops = np.flatnonzero(last)
    starts = np.concatenate(([0], stops[:-1] + 1))
    lengths = stops - starts + 1
    if lengths.max() > _VARINT_BYTES_MAX:
        raise Malformed("a number of more than ten bytes")
    places = np.arange(raw.size) - np.repeat(starts, lengths)
    shifted = (raw & 127).astype(np.uint64) << (7 * places).astype(np.uint64)
    values: NDArray[Any] = np.add.reduceat(shifted, starts)
    return values
