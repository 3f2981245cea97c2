"""Decisions are stored with what they saw, and can be made again: the same inputs must give the same answer.

A decider's inputs and answer are written as they are, in the change that carries the answer out.
Decisions that repeat the one before are stored once in a while, so that a quiet day costs little.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.decision import Decider, DecisionRecord
from prometheus_ai.domain.demand import ScalingFacts, ScalingState
from prometheus_ai.domain.policy import RolloutSpec, ScalingSpec
from prometheus_ai.domain.rollout import RolloutFacts, RolloutState
from prometheus_ai.ports.state_store import Writing
from prometheus_ai.rollout import Ground, judge, next_step, plan_rollout
from prometheus_ai.scaling import target

KEPT_MAX = 1000
"""Decisions of each decider that are kept for each backend."""
REPEATED_EVERY = timedelta(seconds=30)
"""A decision that says the same as the one before is stored this often."""
REMEMBERED_MAX = 20_000
"""Releases whose last decision is known; beyond that all are forgotten, and said once more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanInputs:
    """What a plan was made from."""

    ground: Ground
    policy: RolloutSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutInputs:
    """What a step of a rollout was decided from."""

    state: RolloutState
    facts: RolloutFacts
    policy: RolloutSpec
    now: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalingInputs:
    """What a number of replicas was decided from."""

    state: ScalingState
    facts: ScalingFacts
    policy: ScalingSpec
    now: datetime


Inputs = PlanInputs | RolloutInputs | ScalingInputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A decision that was just made: by whom, about what, and in a word."""

    backend: str
    version: str
    act: str
    reason: str
    inputs: Inputs
    answer: object
    """The decider's answer, whole."""
    is_hold: bool = False
    """Whether it changes nothing: then it is not stored again while it says the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """A stored decision made again."""

    record: DecisionRecord
    is_same: bool
    difference: str = ""
    """Where the answers differ, or why it could not be decided again."""


def is_news(plane: Plane, made: Made, now: datetime) -> bool:
    """Whether a decision is to be stored: it changes something, says something new, or was last said long ago."""
    before = plane.decided.get(_key(made))
    if not made.is_hold or before is None:
        return True
    return before[0] != _said(made) or now - before[1] >= REPEATED_EVERY


def remember(plane: Plane, tx: Writing, made: Made, now: datetime) -> None:
    """Store a decision, if it is news, in the change that carries it out."""
    if not is_news(plane, made, now):
        return
    if len(plane.decided) >= REMEMBERED_MAX:
        plane.decided.clear()
    plane.decided[_key(made)] = (_said(made), now)
    tx.add_decision(
        DecisionRecord(
            at=now,
            backend=made.backend,
            version=made.version,
            decider=_decider_of(made.inputs),
            act=made.act,
            reason=made.reason,
            inputs=_text(made.inputs),
            answer=_text(made.answer),
        ),
        KEPT_MAX,
    )


def replay(record: DecisionRecord) -> Replay:
    """Decide again from the stored inputs, and compare."""
    inputs_of, decide = _DECIDERS[record.decider]
    try:
        answer = _text(decide(inputs_of.validate_json(record.inputs)))
    except (ValidationError, ValueError, AssertionError) as error:
        return Replay(record=record, is_same=False, difference=f"cannot be decided again: {error}")
    difference = _difference(json.loads(record.answer), json.loads(answer))
    return Replay(record=record, is_same=not difference, difference=difference)


def _decide_rollout(inputs: RolloutInputs) -> object:
    """Judge again from the comparison, and then decide the step from that verdict."""
    facts, verdict = inputs.facts, inputs.facts.verdict
    if verdict is not None and verdict.comparison is not None:
        judged = judge(verdict.comparison, inputs.policy, verdict.at)
        facts = replace(facts, verdict=judged)
    return next_step(inputs.state, facts, inputs.policy, inputs.now)


def _decide_plan(inputs: PlanInputs) -> object:
    return plan_rollout(inputs.ground, inputs.policy)


def _decide_scaling(inputs: ScalingInputs) -> object:
    return target(inputs.state, inputs.facts, inputs.policy, inputs.now)


_DECIDERS: dict[Decider, tuple[TypeAdapter[Any], Callable[[Any], object]]] = {
    Decider.PLAN: (TypeAdapter(PlanInputs), _decide_plan),
    Decider.ROLLOUT: (TypeAdapter(RolloutInputs), _decide_rollout),
    Decider.SCALING: (TypeAdapter(ScalingInputs), _decide_scaling),
}


def _decider_of(inputs: Inputs) -> Decider:
    if isinstance(inputs, PlanInputs):
        return Decider.PLAN
    return Decider.ROLLOUT if isinstance(inputs, RolloutInputs) else Decider.SCALING


def _key(made: Made) -> tuple[str, str, str]:
    return (made.backend, made.version, _decider_of(made.inputs).value)


def _said(made: Made) -> str:
    """Return what a decision says, whatever its numbers are."""
    return f"{made.act} {re.sub(r'[0-9.]+', '#', made.reason)}"


def _text(value: object) -> str:
    """Write a value so that every number comes back exactly, the infinite ones too."""
    return to_json(value, inf_nan_mode="constants").decode()


def _difference(stored: Any, again: Any, where: str = "") -> str:
    """Return the first place where two answers differ; empty when they are equal."""
    if isinstance(stored, dict) and isinstance(again, dict) and stored.keys() == again.keys():
        found = (_difference(stored[key], again[key], f"{where}.{key}") for key in stored)
        return next((one for one in found if one), "")
    if isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        pairs = enumerate(zip(stored, again, strict=True))
        found = (_difference(one, other, f"{where}[{index}]") for index, (one, other) in pairs)
        return next((one for one in found if one), "")
    if stored == again or json.dumps(stored) == json.dumps(again):
        return ""
    return f"{where.lstrip('.') or 'answer'}: was {json.dumps(stored)}, is {json.dumps(again)}"
