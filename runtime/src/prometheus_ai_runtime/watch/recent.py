"""The last answers and the feedback on them, kept until the control plane fetches them."""

from collections import deque
from typing import Any, NamedTuple
from zlib import crc32

from prometheus_ai_runtime.watch.recorded import RecordedRequests

ANSWERS_MAX = 2048
BODY_BYTES_MAX = 8192
"""Longer answers are kept without their content."""
BYTES_MAX = 4 * 1024 * 1024
FEEDBACK_MAX = 2048
SHARES = 4096
"""A share of answers is kept in steps of 1 in this many."""


class Answer(NamedTuple):
    """One answer, as it went out."""

    number: int
    request_id: bytes
    label: str
    """Name and version of the model that gave it."""
    is_shadow: bool
    """A copy of a request, whose answer nobody got."""
    body: bytes | None
    """Its JSON; none where it is longer than what is kept, or no JSON."""


class Feedback(NamedTuple):
    """What somebody says about an answer."""

    number: int
    request_id: str
    values: dict[str, Any]


class RecentAnswers:
    """Two bounded rings; what falls out unread is counted. Lives on the event loop.

    What came before the first fetch is there, as far as it has room. When it has none and nobody
    ever asked, it is let go: a server that nobody asks then pays one comparison a request.
    """

    __slots__ = (
        "_answers",
        "_bytes",
        "_feedback",
        "_kept",
        "_next",
        "_was_fetched",
        "dropped",
        "keeps",
        "left_out",
        "requests",
    )

    def __init__(self, requests: RecordedRequests | None = None) -> None:
        self.keeps = True
        """Whether answers are kept."""
        self._was_fetched = False
        self.requests = requests
        """Requests that are kept to be sent again; None unless the configuration asks for it."""
        self.left_out = 0
        """Answers outside the share that is kept."""
        self.dropped = 0
        """Answers and feedback that made room before they were fetched."""
        self._answers: deque[Answer] = deque()
        self._feedback: deque[Feedback] = deque()
        self._bytes = 0
        self._next = 1
        self._kept = SHARES

    def add(self, request_id: bytes, label: str, *, is_shadow: bool, body: bytes | None) -> None:
        """Keep one answer, if its id is in the share: the same ids on every replica."""
        if crc32(request_id) % SHARES >= self._kept:
            self.left_out += 1
            return
        if body is not None and len(body) > BODY_BYTES_MAX:
            body = None
        answers = self._answers
        answers.append(Answer(self._next, request_id, label, is_shadow, body))
        self._next += 1
        self._bytes += 0 if body is None else len(body)
        while len(answers) > ANSWERS_MAX or self._bytes > BYTES_MAX:
            self._forget_answer()
            self.dropped += 1
            self.keeps = self._was_fetched
        if not self.keeps:
            self.dropped += len(answers)
            answers.clear()
            self._bytes = 0

    def add_feedback(self, request_id: str, values: dict[str, Any]) -> None:
        """Keep one piece of feedback."""
        self._feedback.append(Feedback(self._next, request_id, values))
        self._next += 1
        if len(self._feedback) > FEEDBACK_MAX:
            self._feedback.popleft()
            self.dropped += 1

    def fetch(self, after: int, share: float = 1.0) -> tuple[int, list[Answer], list[Feedback]]:
        """Return the newest number and all that came after ``after``; what came before is forgotten.

        From now on this share of answers is kept.
        """
        self.keeps = self._was_fetched = True
        self._kept = round(share * SHARES)
        while self._answers and self._answers[0].number <= after:
            self._forget_answer()
        while self._feedback and self._feedback[0].number <= after:
            self._feedback.popleft()
        return self._next - 1, list(self._answers), list(self._feedback)

    def _forget_answer(self) -> None:
        gone = self._answers.popleft()
        self._bytes -= 0 if gone.body is None else len(gone.body)
