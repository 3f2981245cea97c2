"""Shadow answers against users' answers."""

from typing import Any

import pytest

from prometheus_ai.analysis import agree, distance


@pytest.mark.parametrize(
    ("users", "shadows", "compare", "same"),
    [
        ([1, 2], [1, 2], "exact", True),
        ([1.0], [1.0000001], "exact", False),
        ([1.0], [1.0005], "numeric", True),
        ([1.0], [1.01], "numeric", False),
        ([float("nan")], [float("nan")], "numeric", True),
        ({"a": [1.0], "b": "x"}, {"a": [1.0001], "b": "x"}, "numeric", True),
        ({"a": [1.0], "b": "x"}, {"a": [1.0], "b": "y"}, "numeric", False),
        ([1.0, 2.0], [1.0], "numeric", False),
        ([True], [1], "numeric", False),
        ([[0.1, 0.7, 0.2]], [[0.3, 0.4, 0.3]], "label", True),
        ([[0.1, 0.7, 0.2]], [[0.5, 0.4, 0.1]], "label", False),
        (["cat", "dog"], ["cat", "dog"], "label", True),
        ({"label": [3]}, {"label": [4]}, "label", False),
    ],
)
def test_answers_agree(users: Any, shadows: Any, compare: Any, same: bool) -> None:
    assert agree(users, shadows, compare, 1e-3) is same


def test_small_samples_of_one_distribution_are_not_far_apart() -> None:
    found = distance({"a": 60, "b": 40}, {"a": 52, "b": 48})
    assert found.stability_index < 0.1
    assert found.p_value > 0.05


def test_other_distributions_are_far_apart_and_surprising() -> None:
    found = distance({"a": 900, "b": 100}, {"a": 500, "b": 500})
    assert found.stability_index > 0.25
    assert found.p_value < 1e-6


def test_nothing_is_concluded_from_nothing() -> None:
    assert distance({}, {"a": 5}).p_value == 1.0
