"""Compressed streams, expanded within a budget."""

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from prometheus_ai.adapters.scanners.model_files.source import Budget, Source, Unreadable

STEP_BYTES = 1 << 20
LZMA_MEMORY_BYTES = 256 * 2**20
_FAULTS = (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError, RuntimeError)


def decompressor_of(head: bytes) -> Callable[[], Any] | None:
    """Return what expands a stream that begins so, or None when it is not compressed.

    Raises:
        Unreadable: it is LZ4, and the package lz4 is not installed here.
    """
    if head.startswith(b"\x1f\x8b"):
        return lambda: _Zlib(31)
    if head[:1] == b"\x78" and len(head) > 1 and int.from_bytes(head[:2], "big") % 31 == 0:
        return lambda: _Zlib(15)
    if head.startswith(b"BZh"):
        return bz2.BZ2Decompressor
    if head.startswith((b"\x5d\x00", b"\xfd7zXZ")):
        return lambda: lzma.LZMADecompressor(memlimit=LZMA_MEMORY_BYTES)
    if head.startswith(b"\x04\x22\x4d\x18"):
        return _lz4()
    return None


def _lz4() -> Callable[[], Any]:
    try:
        frame = importlib.import_module("lz4.frame")
    except ModuleNotFoundError as error:
        raise Unreadable(
            "is LZ4, which cannot be read here: install the package lz4", "unsupported"
        ) from error
    made: Callable[[], Any] = frame.LZ4FrameDecompressor
    return made


class _Zlib:
    """zlib's own object, with the methods that the other decompressors have."""

    def __init__(self, window: int) -> None:
        self._inner = zlib.decompressobj(window)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


class Expanded:
    """The content of a compressed source; streams that follow each other are one, as their readers see it."""

    def __init__(self, source: Source, make: Callable[[], Any], budget: Budget) -> None:
        self._source = source
        self._make = make
        self._budget = budget
        self._inner = make()
        self._carried = b""

    def read(self, _size: int = -1, /) -> bytes:
        """Return the next expanded bytes, none at the end.

        Raises:
            Unreadable: the stream is damaged, cut short or expands beyond the budget.
        """
        while True:
            if self._inner.eof:
                self._carried = self._inner.unused_data or self._source.peek(1)
                if not self._carried:
                    return b""
                if not self._inner.unused_data:
                    self._carried = b""
                self._inner = self._make()
            data = b""
            if self._inner.needs_input:
                data = self._carried or self._next()
                self._carried = b""
            try:
                found: bytes = self._inner.decompress(data, STEP_BYTES)
            except _FAULTS as error:
                raise Unreadable(f"the compressed data is damaged: {error}") from error
            if found:
                self._budget.spend_expanded(len(found), self._source.position)
                return found

    def _next(self) -> bytes:
        chunk = self._source.peek(1 << 16)
        if not chunk:
            raise Unreadable("the compressed data ends too early", "truncated")
        return self._source.read(len(chunk))
