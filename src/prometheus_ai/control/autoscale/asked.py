"""What must be asked for over the network: own metrics, and what replicas learned of their own speed.

A loop of its own asks, so that no decision waits for an answer that is late.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_ai.control.loop.look import sight
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.profile import ModelProfile
from prometheus_ai.domain.release import Release
from prometheus_ai.domain.replica import ReplicaPhase
from prometheus_ai.scaling import capacity, objective_s

METRICS_EVERY_S = 5.0
PROFILE_EVERY_S = 30.0
BATCHES_MIN = 50
"""Fewer batches say too little of a replica's speed."""

_Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Own metrics of one release, and when they were asked for."""

    at: datetime
    values: Mapping[str, float]


@dataclass(kw_only=True)
class Asking:
    """Asks for every release with a policy. Its answers are replaced whole, so they are read without a lock."""

    plane: Plane
    metrics: dict[_Key, Reading] = field(default_factory=dict)
    speeds: dict[_Key, tuple[float, float]] = field(default_factory=dict)
    """Requests that one replica handles at once, and answers a second."""
    _asked_s: dict[tuple[str, _Key], float] = field(default_factory=dict)

    def tick(self) -> None:
        """Ask what is due."""
        with self.plane.store.read() as reading:
            releases = {
                (release.backend, release.version): release
                for release in reading.releases()
                if release.spec.scaling is not None
            }
            wanted = {
                (state.backend, state.version)
                for state in reading.release_states()
                if state.replicas_wanted
            }
        for key, release in releases.items():
            if self._is_due("metrics", key, METRICS_EVERY_S):
                self._ask_metrics(key, release)
            if key in wanted and self._is_due("speed", key, PROFILE_EVERY_S):
                self._ask_speed(key, release)
        for answers in (self.metrics, self.speeds):
            for gone in answers.keys() - releases.keys():
                answers.pop(gone, None)

    def own(self, key: _Key, now: datetime, stale_s: float) -> tuple[tuple[str, float], ...]:
        """Return the own metrics of a release that are fresh enough."""
        found = self.metrics.get(key)
        if found is None or (now - found.at).total_seconds() > stale_s + METRICS_EVERY_S:
            return ()
        return tuple(sorted(found.values.items()))

    def _is_due(self, what: str, key: _Key, every_s: float) -> bool:
        now_s = self.plane.clock.monotonic()
        if now_s - self._asked_s.get((what, key), -every_s) < every_s:
            return False
        self._asked_s[what, key] = now_s
        return True

    def _ask_metrics(self, key: _Key, release: Release) -> None:
        policy, database = release.spec.scaling, self.plane.database
        if policy is None or database is None or not policy.metrics:
            return
        at, values = self.plane.clock.now(), {}
        for metric in policy.metrics:
            query = (metric.query or metric.name).replace("$backend", key[0])
            try:
                sample = database.ask(query.replace("$release", key[1]))
            except PlatformError:
                # It stays unknown, and what is unknown never shrinks anything.
                continue
            if sample.value is not None:
                values[metric.name] = sample.value
        self.metrics[key] = Reading(at=at, values=values)

    def _ask_speed(self, key: _Key, release: Release) -> None:
        source, policy = self.plane.profiles, release.spec.scaling
        if source is None or policy is None:
            return
        found: list[ModelProfile] = []
        for seen in sight(self.plane).observed.values():
            is_mine = (seen.backend, seen.version) == key and seen.phase is ReplicaPhase.READY
            if not is_mine or seen.endpoint is None:
                continue
            try:
                found.append(source.profile(seen.endpoint, key[0]))
            except PlatformError:
                continue
        best = max(found, key=lambda profile: profile.batches, default=None)
        if best is not None and best.curve and best.batches >= BATCHES_MIN:
            declared_ms = policy.latency.ms if policy.latency is not None else None
            slo_s = objective_s(best.curve, declared_ms)
            self.speeds[key] = capacity(best.curve, release.spec.batching.rows_max, slo_s)
