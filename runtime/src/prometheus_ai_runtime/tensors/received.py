"""Memory that a large body is received into, which knows whether the numbers in it are numbers.

Whoever fills it looks at what has come while the rest is on its way, when there is nothing else to do.
"""

from typing import Any

import numpy as np

ALIGNED_BYTES = 64
"""Engines copy tensors that begin elsewhere."""
_WORD_BYTES = 4


class Received(np.ndarray[Any, np.dtype[np.uint8]]):
    """Room for one body; its tensors begin at an aligned place."""

    was_asked = False
    """Whether somebody wanted to know; then the next body of the kind is worth a look as well."""
    _total = 0.0
    _looked_to = _end = 0

    @classmethod
    def room(cls, size: int, tensors_at: int) -> tuple["Received", memoryview]:
        """Return memory for so many bytes, and the part of it to fill."""
        # Memory that is not written to is not there yet: a client that only announces costs none.
        made = cls(size + ALIGNED_BYTES, dtype=np.uint8)
        start = -(made.__array_interface__["data"][0] + tensors_at) % ALIGNED_BYTES
        made._looked_to, made._end = tensors_at, size
        view: memoryview = made.data
        return made, view[start : start + size]

    def look(self, view: memoryview, filled: int) -> None:
        """Add up the words that have come into the part to fill.

        NaN and infinities survive addition. A sum of Einstein's writes nothing and warns of nothing.
        """
        words = (filled - self._looked_to) // _WORD_BYTES
        if words > 0:
            came = np.frombuffer(view, "<f4", words, self._looked_to)
            self._total += float(np.einsum("i->", came))
            self._looked_to += words * _WORD_BYTES


def is_known_finite(raw: memoryview) -> bool:
    """Whether all FP32 values of a tensor were seen to be finite when they came; false: look."""
    received: object = raw.obj
    if not isinstance(received, Received):
        return False
    received.was_asked = True
    is_whole = received._end - received._looked_to < _WORD_BYTES  # noqa: SLF001 - its own
    total = received._total  # noqa: SLF001 - its own
    # Values that begin between words are others than those that were added up.
    return is_whole and total - total == 0.0 and np.frombuffer(raw, "<f4").flags.aligned
