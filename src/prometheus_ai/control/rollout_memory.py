"""What is remembered of a rollout between ticks, and across restarts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter

from prometheus_ai.analysis import EvidenceState
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.rollout_trace import Trace
from prometheus_ai.domain.evidence import Verdict
from prometheus_ai.domain.rollout import Command, RolloutState
from prometheus_ai.domain.route import Mirror
from prometheus_ai.ports.state_store import Reading, Writing

SETTING = "rollout:"


@dataclass(frozen=True, kw_only=True)
class Held:
    """One backend's rollout: where it stands, and the evidence so far."""

    state: RolloutState
    evidence: EvidenceState
    verdict: Verdict | None = None
    command: Command | None = None
    """Asked for, and not yet obeyed."""
    asked_by: str = ""
    """Who asked for what is being done; empty when the evidence did."""
    asked_why: str = ""
    """The reason that they gave."""
    flip_ms: float | None = None
    """How long the last rehearsed rollback took to come into force; None before the first."""
    replayed_to: int = 0
    """The number of the last kept request that was replayed: each is once in a rollout."""
    replayed: int = 0
    """How many were."""
    trace: Trace = field(default_factory=Trace)
    """Its course, for people to look at."""


_HELD = TypeAdapter(Held)


def load(reading: Reading, backend: str) -> Held | None:
    """Return the newest rollout of a backend, ended or not; None when there was none."""
    text = reading.setting(f"{SETTING}{backend}")
    return _HELD.validate_json(text) if text else None


def keep(tx: Writing, backend: str, held: Held) -> None:
    """Store a rollout; commands are obeyed within a tick, so they are not kept."""
    text = _HELD.dump_json(replace(held, command=None)).decode()
    tx.put_setting(f"{SETTING}{backend}", text)


def active(plane: Plane, backend: str) -> Held | None:
    """Return the rollout that is under way; None when there is none."""
    held = plane.rollouts.get(backend)
    return held if isinstance(held, Held) and not held.state.has_ended else None


def mirror_of(rollouts: Mapping[str, object], backend: str) -> Mirror | None:
    """Return which release gets copies of requests, while its rollout is under way."""
    held = rollouts.get(backend)
    if not isinstance(held, Held) or held.state.has_ended or held.state.mirror <= 0:
        return None
    return Mirror(version=held.state.candidate, points=round(held.state.mirror * 100))


def protected(rollouts: Mapping[str, object], backend: str) -> frozenset[str]:
    """Return the versions that a rollout under way needs, with or without traffic."""
    held = rollouts.get(backend)
    if not isinstance(held, Held) or held.state.has_ended:
        return frozenset()
    return frozenset(v for v in (held.state.candidate, held.state.stable) if v is not None)


def exchanging(rollouts: Mapping[str, object], backend: str) -> frozenset[str]:
    """Return the versions whose replica counts belong to a rollout that exchanges them in place."""
    held = rollouts.get(backend)
    if not isinstance(held, Held) or not held.state.plan.is_swap:
        return frozenset()
    return protected(rollouts, backend)
