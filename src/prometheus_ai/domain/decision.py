"""A decision as it was made: what it saw, what it answered, and when."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Decider(StrEnum):
    """Which pure function decided."""

    PLAN = "plan"
    """Whether a rollout fits, and in which steps."""
    ROLLOUT = "rollout"
    """What a rollout does next."""
    SCALING = "scaling"
    """How many replicas a release has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionRecord:
    """One stored decision. Inputs and answer are JSON, complete enough to decide again."""

    id: int = 0
    """Given by the store; grows with every decision of the installation."""
    at: datetime
    backend: str
    version: str
    decider: Decider
    act: str
    """What was decided, in a word: advance, hold, rollback, scale, refuse."""
    reason: str
    inputs: str
    answer: str
