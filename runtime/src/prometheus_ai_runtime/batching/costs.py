"""What one row of a request costs, by the name of the cost function."""

from collections.abc import Callable
from math import prod

from prometheus_ai_runtime.batching.work import Work

Cost = Callable[[Work], int]


def elements(work: Work) -> int:
    """Values in a row, over all inputs: pixels of an image, tokens of a sequence of token ids."""
    return sum([prod(shape) for shape in work.row_shapes])


def raw_bytes(work: Work) -> int:
    """Bytes of the longest row."""
    return max(1, *[_longest(part, work.rows) for part in work.parts])


def words(work: Work) -> int:
    """White-space separated words of the longest text row: close to tokens, without a tokeniser."""
    longest = 1
    for part in work.parts:
        if isinstance(part, list):
            longest = max(longest, max((len(text.split()) for text in part), default=1))
    return longest


def _longest(part: object, rows: int) -> int:
    if isinstance(part, list):
        return max((len(text) for text in part), default=1)
    return len(part) // rows if isinstance(part, bytes | bytearray | memoryview) else 1


COSTS: dict[str, Cost | None] = {
    "rows": None,
    "elements": elements,
    "pixels": elements,
    "tokens": elements,
    "bytes": raw_bytes,
    "words": words,
}
"""``None``: every row costs one."""
