"""GGUF: key-value metadata, tensor descriptions, tensors. Its chat templates are programs."""

from typing import Any

from prometheus_ai.adapters.scanners.model_files.formats.templates import check_template
from prometheus_ai.adapters.scanners.model_files.scan import Scan
from prometheus_ai.adapters.scanners.model_files.source import Source, Unreadable

MAGIC = b"GGUF"
COUNT_MAX = 10_000_000
TEMPLATE_BYTES_MAX = 1 << 20
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TEXT, _ARRAY = 8, 9


def read_gguf(source: Source, scan: Scan) -> None:
    """Read a file to its end; the tensors' bytes are numbers."""
    scan.notes.is_format("gguf")
    source.read(4)
    version = _unsigned(source, 4)
    if version not in (2, 3):
        raise Unreadable(f"GGUF version {version} is unknown")
    tensors, pairs = _count(source), _count(source)
    for _ in range(pairs):
        key = _text(source).decode("utf-8", "replace")
        value = _value(source, _unsigned(source, 4), 0)
        if "chat_template" in key and isinstance(value, bytes):
            check_template(value.decode("utf-8", "replace"), scan.notes.inside(key))
    for _ in range(tensors):
        _text(source)
        dimensions = _unsigned(source, 4)
        if dimensions > 8:
            raise Unreadable("a tensor has more than 8 dimensions")
        source.skip(8 * dimensions + 4 + 8)
    source.rest()


def _value(source: Source, kind: int, depth: int) -> Any:
    if kind in _SCALAR_BYTES:
        return source.skip(_SCALAR_BYTES[kind])
    if kind == _TEXT:
        return _text(source)
    if kind == _ARRAY and depth < 4:
        inner, count = _unsigned(source, 4), _count(source, 100 * COUNT_MAX)
        if inner in _SCALAR_BYTES:
            return source.skip(_SCALAR_BYTES[inner] * count)
        for _ in range(count):
            _value(source, inner, depth + 1)
        return None
    raise Unreadable(f"metadata of type {kind} is unknown")


def _text(source: Source) -> bytes:
    length = _unsigned(source, 8)
    if length > TEMPLATE_BYTES_MAX:
        raise Unreadable(f"a text of {length} bytes in the metadata", "bomb")
    return source.read(length)


def _count(source: Source, most: int = COUNT_MAX) -> int:
    count = _unsigned(source, 8)
    if count > most:
        raise Unreadable(f"claims {count} entries", "bomb")
    return count


def _unsigned(source: Source, size: int) -> int:
    return int.from_bytes(source.read(size), "little")
