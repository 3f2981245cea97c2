"""Answers that releases gave, and what people say about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_ai.domain.evidence import Moments

Label = str | int | float | bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a release answered to one request, in a few values."""

    request_id: str
    version: str
    is_shadow: bool = False
    """An answer to a copy of a request; nobody got it."""
    labels: tuple[Label, ...] | None = None
    """A label or score for each row; None when none could be told."""
    outputs: Any = None
    """The whole answer, only where it was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """What somebody says about one answer: its true label, or a score from 0 (wrong) to 1 (right)."""

    request_id: str
    label: tuple[Label, ...] | None = None
    score: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptRequest:
    """A request of a user, kept to be sent again: without its id, and blanked where its release said so."""

    path: str
    content_type: str
    body: bytes
    json_bytes: int | None = None
    """How much of the body is JSON, where tensors follow it as bytes."""
    number: int = 0
    """Its place among those kept of its backend; 0 until it is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """What a replica answered to a request that was sent again."""

    status: int
    """0 where no answer came."""
    latency_s: float
    body: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicaReading:
    """What a replica did since the reading before, and where to read on."""

    epoch: str
    """Changes when the replica is another process; counters and positions then start anew."""
    position: int
    dropped: int = 0
    """Answers and feedback that were lost before they were read, since it started."""
    left_out: int = 0
    """Answers outside the share that was asked for, since it started."""
    answers: tuple[Answer, ...] = ()
    feedback: tuple[Feedback, ...] = ()
    requests: int = 0
    """Requests that it took and did not turn away, since it started."""
    errors: int = 0
    """Those among them that failed by its own fault."""
    quantities: Mapping[str, Moments] = field(default_factory=dict)
    """Times and sizes by name, since it started."""
    kept: tuple[KeptRequest, ...] = ()
    """Requests to be sent again some time, where its release asks for them; each is told once."""
    unkept: int = 0
    """Requests that could not be kept, since it started."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """How many labelled answers a release has, and how many of them are wrong."""

    version: str
    labelled: int
    wrong: int

    @property
    def accuracy(self) -> float | None:
        """The share of right ones; None without labels."""
        return 1 - self.wrong / self.labelled if self.labelled else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Matched:
    """What came of feedback."""

    settled: tuple[Judged, ...] = ()
    """By release; one label may judge several, where a request was mirrored."""
    waiting: int = 0
    """Their answers are not known yet; they are kept for a while."""
    repeated: int = 0
    """An answer is judged once; these came again."""
    unusable: int = 0
    """The answer is known, but carries no label to compare with."""
    refused: int = 0
    """Too many wait already."""


WRONG_BELOW = 0.5
"""A score below this says that the answer was wrong."""


def grade(answer: Answer, said: Feedback) -> tuple[int, int] | None:
    """Return how many rows of an answer are judged by feedback and how many of these are wrong.

    None where it says nothing of this answer: a score is about what somebody got, so never about a
    shadow's answer, and labels need an answer with as many.
    """
    if said.score is not None:
        return None if answer.is_shadow else (1, int(said.score < WRONG_BELOW))
    if answer.labels is None or said.label is None or len(answer.labels) != len(said.label):
        return None
    wrong = sum(
        not is_same_label(one, other) for one, other in zip(answer.labels, said.label, strict=True)
    )
    return len(answer.labels), wrong


def is_same_label(one: Label, other: Label) -> bool:
    """Whether two labels mean the same; ``3``, ``3.0`` and ``"3"`` do."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    try:
        return float(one) == float(other)
    except ValueError:
        return str(one) == str(other)
