"""What every answer log promises."""

from datetime import UTC, datetime, timedelta

import pytest

from prometheus_ai.domain.answers import Answer, Feedback, Judged, KeptRequest, Matched
from prometheus_ai.ports.answer_log import AnswerLog

NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


def answer(request_id: str, *labels: str | float, version: str = "v1") -> Answer:
    """Return an answer with these labels, one a row."""
    return Answer(request_id=request_id, version=version, labels=labels)


def label(request_id: str, *labels: str | float) -> Feedback:
    """Return feedback with these true labels."""
    return Feedback(request_id=request_id, label=labels)


def request(body: bytes) -> KeptRequest:
    """Return a request to be kept."""
    return KeptRequest(path="/digits/predict", content_type="text/csv", body=body)


class AnswerLogContract:
    """Give it a fixture ``log``."""

    def test_labels_are_compared_with_the_answer_that_was_given(self, log: AnswerLog) -> None:
        log.add("digits", [answer("a", 3), answer("b", "cat"), answer("c", 1, 2)], NOW)
        said = [label("a", 3), label("b", "dog"), label("c", 1, 5)]
        matched = log.judge("digits", said, NOW)
        assert matched == Matched(settled=(Judged(version="v1", labelled=4, wrong=2),))
        assert log.accuracy("digits") == (Judged(version="v1", labelled=4, wrong=2),)
        assert log.accuracy("digits")[0].accuracy == 0.5

    def test_a_number_may_be_written_as_text(self, log: AnswerLog) -> None:
        log.add("digits", [answer("a", 3), answer("b", 1.0)], NOW)
        matched = log.judge("digits", [label("a", "3"), label("b", 1)], NOW)
        assert matched.settled == (Judged(version="v1", labelled=2, wrong=0),)

    def test_feedback_waits_for_its_answer(self, log: AnswerLog) -> None:
        assert log.judge("digits", [label("a", 3)], NOW) == Matched(waiting=1)
        matched = log.add("digits", [answer("a", 4)], NOW)
        assert matched.settled == (Judged(version="v1", labelled=1, wrong=1),)

    def test_an_answer_is_judged_once(self, log: AnswerLog) -> None:
        log.add("digits", [answer("a", 3)], NOW)
        log.judge("digits", [label("a", 3)], NOW)
        assert log.judge("digits", [label("a", 4)], NOW) == Matched(repeated=1)
        log.add("digits", [answer("a", 3)], NOW)
        assert log.accuracy("digits") == (Judged(version="v1", labelled=1, wrong=0),)

    def test_one_label_judges_the_shadow_too(self, log: AnswerLog) -> None:
        shadow = Answer(request_id="a", version="v2", is_shadow=True, labels=(4,))
        log.judge("digits", [label("a", 3)], NOW)
        log.add("digits", [answer("a", 3)], NOW)
        log.add("digits", [shadow], NOW)
        assert log.accuracy("digits") == (
            Judged(version="v1", labelled=1, wrong=0),
            Judged(version="v2", labelled=1, wrong=1),
        )

    def test_a_score_judges_only_what_somebody_got(self, log: AnswerLog) -> None:
        shadow = Answer(request_id="a", version="v2", is_shadow=True)
        log.add("digits", [Answer(request_id="a", version="v1"), shadow], NOW)
        matched = log.judge("digits", [Feedback(request_id="a", score=0.2)], NOW)
        assert matched == Matched(settled=(Judged(version="v1", labelled=1, wrong=1),))

    def test_an_answer_without_a_label_cannot_be_compared(self, log: AnswerLog) -> None:
        log.add("digits", [Answer(request_id="a", version="v1"), answer("b", 1, 2)], NOW)
        assert log.judge("digits", [label("a", 3), label("b", 1)], NOW) == Matched(unusable=2)

    def test_backends_are_apart(self, log: AnswerLog) -> None:
        log.add("digits", [answer("a", 3)], NOW)
        assert log.judge("other", [label("a", 3)], NOW) == Matched(waiting=1)
        assert log.accuracy("other") == ()

    def test_outputs_are_counted_by_hour(self, log: AnswerLog) -> None:
        later = NOW + timedelta(hours=1)
        log.count("digits", "v1", {"3": 2, "4": 1}, NOW)
        log.count("digits", "v1", {"3": 1}, NOW)
        log.count("digits", "v1", {"3": 5}, later)
        hour = NOW.replace(minute=0)
        assert log.outputs("digits", "v1", NOW, later) == {
            hour: {"3": 3, "4": 1},
            hour + timedelta(hours=1): {"3": 5},
        }
        assert log.outputs("digits", "v1", NOW, NOW) == {hour: {"3": 3, "4": 1}}
        assert log.outputs("digits", "v2", NOW, later) == {}

    def test_numeric_labels_are_scores(self, log: AnswerLog) -> None:
        log.add("digits", [answer("a", 1.5), answer("b", "cat"), answer("c", 2.5)], NOW)
        assert log.scores("digits", "v1", 10) == (2.5, 1.5)
        assert log.scores("digits", "v1", 1) == (2.5,)

    @pytest.mark.parametrize("hours", [2])
    def test_what_is_old_is_forgotten(self, log: AnswerLog, hours: int) -> None:
        log.add("digits", [answer("a", 3)], NOW)
        log.judge("digits", [label("a", 3)], NOW)
        log.count("digits", "v1", {"3": 2}, NOW)
        assert log.forget(NOW) == 0
        assert log.forget(NOW + timedelta(hours=hours)) == 4
        assert log.accuracy("digits") == ()

    def test_requests_are_kept_up_to_a_number_and_a_time(self, log: AnswerLog) -> None:
        hour, day = timedelta(hours=1), timedelta(days=1)
        bodies = [b"1", b"2", b"3"]
        log.keep("digits", [request(body) for body in bodies], NOW, kept_max=2, kept_for=hour)
        log.keep("other", [request(b"9")], NOW, kept_max=2, kept_for=day)
        found = log.kept("digits", 0, 10, NOW)
        assert [(r.body, r.json_bytes) for r in found] == [(b"2", None), (b"3", None)]
        second, third = (r.number for r in found)
        assert third == second + 1
        assert [r.body for r in log.kept("digits", second, 10, NOW)] == [b"3"]
        assert [r.body for r in log.kept("digits", 0, 1, NOW)] == [b"2"]
        assert [log.kept_count("digits", n, NOW) for n in (0, second, third)] == [2, 1, 0]
        assert log.kept("digits", 0, 10, NOW + hour) == ()
        assert log.drop_kept(NOW, ["digits"]) == 1
        assert log.drop_kept(NOW + hour, ["digits"]) == 2
        assert log.drop_kept(NOW + hour, ["digits"]) == 0

    def test_a_number_never_comes_again_though_all_requests_are_gone(self, log: AnswerLog) -> None:
        hour, later = timedelta(hours=1), NOW + timedelta(hours=2)
        log.keep("digits", [request(b"1"), request(b"2")], NOW, kept_max=5, kept_for=hour)
        last = log.kept("digits", 0, 10, NOW)[-1].number
        assert log.drop_kept(later, ["digits"]) == 2
        log.keep("digits", [request(b"3")], later, kept_max=5, kept_for=hour)
        assert [r.body for r in log.kept("digits", last, 10, later)] == [b"3"]

    def test_many_requests_at_once_are_numbered_on(self, log: AnswerLog) -> None:
        hour = timedelta(hours=1)
        for start in range(0, 30, 10):
            more = [request(b"%d" % number) for number in range(start, start + 10)]
            log.keep("digits", more, NOW, kept_max=15, kept_for=hour)
            log.keep("other", more[:1], NOW, kept_max=15, kept_for=hour)
        found = log.kept("digits", 0, 100, NOW)
        assert [int(r.body) for r in found] == list(range(15, 30))
        assert [r.number for r in found] == sorted({r.number for r in found})
