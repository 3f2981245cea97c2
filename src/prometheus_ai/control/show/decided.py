"""Decisions as people see them, and made again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prometheus_ai.control.decisions import KEPT_MAX, replay
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.decision import Decider, DecisionRecord
from prometheus_ai.domain.errors import InvalidInput, NotFound

SHOWN_MAX = KEPT_MAX * len(Decider)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionView:
    """One decision in a line."""

    id: int
    at: datetime
    backend: str
    version: str
    decider: str
    act: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionDetail:
    """One decision with everything that it saw and answered."""

    decision: DecisionView
    inputs: Mapping[str, Any]
    answer: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayView:
    """One decision made again from its stored inputs."""

    decision: DecisionView
    is_same: bool
    difference: str
    """The first field that differs; empty when the answer is the same."""


def list_decisions(plane: Plane, name: str, limit: int) -> tuple[DecisionView, ...]:
    """Return the newest decisions about a backend, oldest of them first.

    Raises:
        NotFound: nothing is known of such a backend.
        InvalidInput: the limit is out of bounds.
    """
    return tuple(_view(record) for record in _found(plane, name, limit))


def decision_detail(plane: Plane, name: str, number: int) -> DecisionDetail:
    """Return one decision with its inputs and answer.

    Raises:
        NotFound: there is no such decision about this backend.
    """
    record = _one(plane, name, number)
    return DecisionDetail(
        decision=_view(record), inputs=json.loads(record.inputs), answer=json.loads(record.answer)
    )


def replay_decisions(plane: Plane, name: str, number: int | None) -> tuple[ReplayView, ...]:
    """Make one decision again, or all that are kept, and compare the answers.

    Raises:
        NotFound: there is no such backend or decision.
    """
    records = _found(plane, name, SHOWN_MAX) if number is None else [_one(plane, name, number)]
    replays = (replay(record) for record in records)
    return tuple(
        ReplayView(decision=_view(one.record), is_same=one.is_same, difference=one.difference)
        for one in replays
    )


def _found(plane: Plane, name: str, limit: int) -> list[DecisionRecord]:
    if not 1 <= limit <= SHOWN_MAX:
        raise InvalidInput(f"limit must be between 1 and {SHOWN_MAX}, not {limit}")
    with plane.store.read() as reading:
        found = reading.decisions(name, _EVER, limit)
        if not found and reading.backend(name) is None:
            raise NotFound(f"there is no backend {name!r}", hint="`pai status` lists them")
    return found


def _one(plane: Plane, name: str, number: int) -> DecisionRecord:
    with plane.store.read() as reading:
        record = reading.decision(name, number)
    if record is None:
        raise NotFound(
            f"there is no decision {number} about {name}",
            hint=f"`pai decisions {name}` lists those that are kept",
        )
    return record


def _view(record: DecisionRecord) -> DecisionView:
    return DecisionView(
        id=record.id,
        at=record.at,
        backend=record.backend,
        version=record.version,
        decider=record.decider.value,
        act=record.act,
        reason=record.reason,
    )
