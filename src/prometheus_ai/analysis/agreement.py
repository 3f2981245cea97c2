"""Is a shadow's answer the same as the one that the user got?"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Compare = Literal["exact", "numeric", "label"]
_DEPTH_MAX = 32


def agree(users: Any, shadows: Any, compare: Compare, tolerance: float = 0.0) -> bool:
    """Whether two decoded answers are the same.

    ``exact``: equal values. ``numeric``: numbers within the relative and absolute tolerance, the rest equal.
    ``label``: the same position of the largest score in each row, or equal labels where there are no scores.
    """
    if compare == "label":
        return bool(_labels(users) == _labels(shadows))
    return _same(users, shadows, tolerance if compare == "numeric" else 0.0, _DEPTH_MAX)


def _same(left: Any, right: Any, tolerance: float, depth: int) -> bool:
    if depth == 0:
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        if math.isnan(left) or math.isnan(right):
            return math.isnan(left) and math.isnan(right)
        return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(
            _same(left[key], right[key], tolerance, depth - 1) for key in left
        )
    if _is_list(left) and _is_list(right):
        return len(left) == len(right) and all(
            _same(one, other, tolerance, depth - 1) for one, other in zip(left, right, strict=True)
        )
    return bool(left == right)


def _labels(answer: Any) -> Any:
    if isinstance(answer, Mapping):
        return {key: _labels(value) for key, value in answer.items()}
    if not _is_list(answer):
        return answer
    if answer and all(isinstance(value, float) for value in answer) and len(answer) > 1:
        return max(range(len(answer)), key=lambda position: answer[position])
    return [_labels(value) for value in answer]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
