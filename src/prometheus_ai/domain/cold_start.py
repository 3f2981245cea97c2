"""Cold starts: how long each took, item by item, and what to expect of the next."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

UNKNOWN_S = 5.0
"""Expected of a release that was never seen starting."""
KEPT_MAX = 50
"""Starts of one release that are remembered."""
_EXPECTED_SHARE = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class ColdStart:
    """One start of a replica. The items add up to the whole."""

    replica: str
    at: datetime
    """When it was ready."""
    schedule_s: float
    """From the decision until its process or container ran: the model is verified and the gate asked."""
    environment_s: float
    """Process or container, interpreter and libraries, and until it was seen to be ready."""
    load_s: float
    """Reading the model."""
    warm_up_s: float
    """First batches, and the check of its answers."""

    @property
    def total_s(self) -> float:
        """From the decision until it was seen to be ready."""
        return self.schedule_s + self.environment_s + self.load_s + self.warm_up_s


def cold_start(
    replica: str, times: tuple[datetime, datetime, datetime], phases_s: Mapping[str, float]
) -> ColdStart:
    """Return the start of a replica from the times of its decision, its process and its readiness."""
    decided_at, started_at, ready_at = times
    total_s = max(0.0, (ready_at - decided_at).total_seconds())
    # Containers are seen to start by another machine's clock; no item may come out negative.
    schedule_s = min(max(0.0, (started_at - decided_at).total_seconds()), total_s)
    load_s = min(phases_s.get("load", 0.0), total_s - schedule_s)
    warm_up_s = min(phases_s.get("warm_up", 0.0), total_s - schedule_s - load_s)
    return ColdStart(
        replica=replica,
        at=ready_at,
        schedule_s=schedule_s,
        environment_s=total_s - schedule_s - load_s - warm_up_s,
        load_s=load_s,
        warm_up_s=warm_up_s,
    )


def expected_s(starts: Sequence[ColdStart]) -> float:
    """Return how long a start takes at most, nine times out of ten."""
    if not starts:
        return UNKNOWN_S
    ordered = sorted(start.total_s for start in starts)
    return ordered[math.ceil(_EXPECTED_SHARE * len(ordered)) - 1]


def typical_s(starts: Sequence[ColdStart]) -> float:
    """Return how long a start takes in the middle of all."""
    if not starts:
        return UNKNOWN_S
    return sorted(start.total_s for start in starts)[(len(starts) - 1) // 2]
