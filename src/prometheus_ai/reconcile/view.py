"""What the deciders look at: one backend, wanted and seen, at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_ai.domain.cold_start import UNKNOWN_S
from prometheus_ai.domain.release import Backend, ReleasePhase, ReleaseState
from prometheus_ai.domain.replica import Observed, ReplicaGoal, ReplicaPhase, ReplicaRecord
from prometheus_ai.domain.route import Weights


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseView:
    """One release: its bounds, its state, its replicas and its recent failures."""

    state: ReleaseState
    target: str
    startup_s: float
    drain_s: float
    keep_warm_s: float
    start_s: float = UNKNOWN_S
    """How long a cold start of it takes, nine times out of ten."""
    records: tuple[ReplicaRecord, ...] = ()
    """Open records, oldest first."""
    ended: tuple[ReplicaRecord, ...] = ()
    """Records that ended recently, oldest first."""

    @property
    def version(self) -> str:
        """The release's version."""
        return self.state.version


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendView:
    """One backend with everything that decides what happens next."""

    backend: Backend
    releases: tuple[ReleaseView, ...]
    observed: Mapping[str, Observed] = field(default_factory=dict)
    """By replica id."""
    unreachable: frozenset[str] = frozenset()
    """Targets that could not be observed; nothing is concluded from their silence."""
    launching: frozenset[str] = frozenset()
    """Replicas whose start is under way in this process."""
    leaving: Mapping[str, datetime] = field(default_factory=dict)
    """By when noticed replicas will be gone with their machines."""
    needed: frozenset[str] = frozenset()
    """Versions that a rollout under way needs, with or without traffic."""

    def ready_count(self, release: ReleaseView) -> int:
        """Return how many replicas of a release may take traffic now."""
        return sum(1 for record in release.records if self.is_routable(record))

    def is_routable(self, record: ReplicaRecord) -> bool:
        """Whether a replica may take new requests."""
        seen = self.observed.get(record.id)
        return (
            record.goal is ReplicaGoal.RUN and seen is not None and seen.phase is ReplicaPhase.READY
        )

    def routed_versions(self) -> frozenset[str]:
        """Return the versions that have traffic, wanted or in force."""
        return versions_of(self.backend.wanted) | versions_of(self.backend.in_force) | self.needed


def versions_of(weights: Weights) -> frozenset[str]:
    """Return the versions with a weight."""
    return frozenset(version for version, weight in weights if weight > 0)


RUNNING_PHASES = frozenset({ReleasePhase.STARTING, ReleasePhase.READY})
"""Phases in which replicas are wanted."""
