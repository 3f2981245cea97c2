"""What is remembered of answers and feedback, and what an answer says in a few values."""

import pytest

from prometheus_ai_runtime.people.labels import labels_of, outputs_of
from prometheus_ai_runtime.watch.recent import (
    ANSWERS_MAX,
    BODY_BYTES_MAX,
    BYTES_MAX,
    FEEDBACK_MAX,
    RecentAnswers,
)


def test_a_fetch_returns_what_came_since_the_one_before() -> None:
    recent = RecentAnswers()
    recent.add(b"a", "digits/v1", is_shadow=False, body=b"{}")
    recent.add_feedback("a", {"label": 3})
    position, answers, feedback = recent.fetch(0)
    assert [answer.request_id for answer in answers] == [b"a"]
    assert [said.values for said in feedback] == [{"label": 3}]
    recent.add(b"b", "digits/v1", is_shadow=True, body=None)
    assert [answer.request_id for answer in recent.fetch(0)[1]] == [b"a", b"b"]
    _, answers, feedback = recent.fetch(position)
    assert [(answer.request_id, answer.is_shadow) for answer in answers] == [(b"b", True)]
    assert feedback == []


def test_answers_from_before_the_first_fetch_are_there() -> None:
    recent = RecentAnswers()
    assert recent.keeps
    recent.add(b"early", "digits/v1", is_shadow=False, body=b"{}")
    assert [answer.request_id for answer in recent.fetch(0)[1]] == [b"early"]


def test_a_server_that_nobody_asks_keeps_nothing_in_the_end() -> None:
    recent = RecentAnswers()
    for number in range(ANSWERS_MAX + 1):
        assert recent.keeps
        recent.add(b"%d" % number, "digits/v1", is_shadow=False, body=b"{}")
    assert not recent.keeps
    assert recent.dropped == ANSWERS_MAX + 1
    assert recent.fetch(0)[1] == []
    assert recent.keeps


def test_what_falls_out_unread_is_counted() -> None:
    recent = RecentAnswers()
    recent.fetch(0)
    for number in range(ANSWERS_MAX + 5):
        recent.add(b"%d" % number, "digits/v1", is_shadow=False, body=b"{}")
    for number in range(FEEDBACK_MAX + 2):
        recent.add_feedback(str(number), {"score": 1})
    _, answers, feedback = recent.fetch(0)
    assert (len(answers), len(feedback), recent.dropped) == (ANSWERS_MAX, FEEDBACK_MAX, 7)


def test_bytes_are_bounded_and_long_answers_lose_their_content() -> None:
    recent = RecentAnswers()
    recent.fetch(0)
    for _ in range(BYTES_MAX // BODY_BYTES_MAX + 3):
        recent.add(b"x", "digits/v1", is_shadow=False, body=b"1" * BODY_BYTES_MAX)
    recent.add(b"y", "digits/v1", is_shadow=False, body=b"1" * (BODY_BYTES_MAX + 1))
    _, answers, _ = recent.fetch(0)
    assert sum(len(answer.body or b"") for answer in answers) <= BYTES_MAX
    assert answers[-1].body is None
    assert recent.dropped == 3


def test_a_share_keeps_the_same_ids_everywhere() -> None:
    first, second = RecentAnswers(), RecentAnswers()
    for recent in (first, second):
        recent.fetch(0, 0.25)
        for number in range(2000):
            recent.add(b"%d" % number, "digits/v1", is_shadow=False, body=b"{}")
    kept = [answer.request_id for answer in first.fetch(0)[1]]
    assert kept == [answer.request_id for answer in second.fetch(0)[1]]
    assert 400 < len(kept) < 600
    assert first.left_out == 2000 - len(kept)


@pytest.mark.parametrize(
    ("document", "labels"),
    [
        ({"outputs": [{"name": "label", "shape": [2], "data": [3, 7]}]}, [3, 7]),
        ({"outputs": [{"name": "p", "shape": [1, 3], "data": [0.1, 0.7, 0.2]}]}, [1]),
        ({"outputs": [{"name": "p", "shape": [2, 2], "data": [[0.1, 0.9], [1, 0]]}]}, [1, 0]),
        (
            {
                "outputs": [
                    {"name": "scores", "shape": [1, 2], "data": [0.1, 0.9]},
                    {"name": "label", "shape": [1], "data": ["cat"]},
                ]
            },
            ["cat"],
        ),
        ({"label": "cat", "p": [0.1, 0.9]}, ["cat"]),
        ({"rows": [{"y": 1.5}, {"y": 2.5}]}, [1.5, 2.5]),
        ([[0.1, 0.9], [0.8, 0.2]], [1, 0]),
        ([4, 5], [4, 5]),
        ({"outputs": []}, None),
        ({"outputs": [{"name": "y", "shape": [0], "data": []}]}, None),
        ([], None),
        ({}, None),
        ([["a", "b"]], None),
    ],
)
def test_labels_are_told_from_answers(document: object, labels: list[object] | None) -> None:
    assert labels_of(document) == labels


def test_names_and_ids_are_not_compared() -> None:
    outputs = [{"name": "y", "shape": [1], "data": [1]}]
    assert outputs_of({"model_version": "v1", "id": "x", "outputs": outputs}) == outputs
    assert outputs_of({"label": 3}) == {"label": 3}
