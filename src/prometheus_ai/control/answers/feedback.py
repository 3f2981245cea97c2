"""Feedback of people: labels and scores, joined with the answers that releases gave."""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_ai.control.answers.told import add_labels
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.answers import Feedback
from prometheus_ai.domain.errors import InvalidInput, NotFound, Unsupported

ITEMS_MAX = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseAccuracy:
    """What labels say of one release."""

    version: str
    labelled: int
    """Labelled answers."""
    wrong: int
    """Those among them that were wrong."""
    accuracy: float | None
    """Share of right ones; null without labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What came of feedback."""

    backend: str
    judged: int
    """Labelled answers, shadows' included."""
    waiting: int
    """Kept until the answers they are about are known."""
    repeated: int
    """About answers that were judged before; the first word stands."""
    unusable: int
    """About answers without a label to compare with; post a score instead."""
    refused: int
    """Not kept, because too many wait already."""
    releases: tuple[ReleaseAccuracy, ...]
    """All that is known of each release."""


def take_feedback(plane: Plane, name: str, items: Sequence[Feedback]) -> Taken:
    """Judge answers by what people say of them.

    Raises:
        NotFound: there is no such backend.
        InvalidInput: an item has neither label nor score, or both; or there are too many.
        Unsupported: this control plane keeps no answers.
    """
    if plane.hearing is None:
        raise Unsupported("this control plane keeps no answers")
    if not 0 < len(items) <= ITEMS_MAX:
        raise InvalidInput(f"send 1 to {ITEMS_MAX} items at once, not {len(items)}")
    for place, said in enumerate(items):
        if (said.label is None) == (said.score is None):
            raise InvalidInput(f"item {place}: give either label or score")
    with plane.store.read() as reading:
        if reading.backend(name) is None:
            raise NotFound(f"there is no backend {name!r}", hint="`pai status` lists them")
    matched = plane.hearing.log.judge(name, items, plane.clock.now())
    add_labels(plane.hearing, name, matched.settled)
    return Taken(
        backend=name,
        judged=sum(each.labelled for each in matched.settled),
        waiting=matched.waiting,
        repeated=matched.repeated,
        unusable=matched.unusable,
        refused=matched.refused,
        releases=accuracy(plane, name),
    )


def accuracy(plane: Plane, name: str) -> tuple[ReleaseAccuracy, ...]:
    """Return what labels say of each release."""
    if plane.hearing is None:
        return ()
    return tuple(
        ReleaseAccuracy(
            version=each.version,
            labelled=each.labelled,
            wrong=each.wrong,
            accuracy=None if each.accuracy is None else round(each.accuracy, 6),
        )
        for each in plane.hearing.log.accuracy(name)
    )
