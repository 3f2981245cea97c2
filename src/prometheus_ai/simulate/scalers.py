"""Scalers to simulate: the production decider, and a fixed number to compare it with."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from prometheus_ai.domain.demand import DemandSample, ScalingFacts, ScalingState
from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.scaling import begin_scaling, target
from prometheus_ai.simulate.fleet import Reading
from prometheus_ai.simulate.service import ServiceProfile

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_LATENCY_WINDOW_TICKS = 30


def production(
    policy: ScalingSpec, profile: ServiceProfile, slo_s: float, *, knows_rate: bool = True
) -> "Ours":
    """Return the production scaler for replicas of this profile and an objective."""
    return Ours(
        policy=policy,
        start_s=profile.start_s,
        concurrency=profile.concurrency(slo_s),
        rate_per_replica=profile.rate_within(slo_s) if knows_rate else None,
    )


@dataclass(kw_only=True)
class Fixed:
    """Always the same number of replicas."""

    replicas: int

    def decide(self, reading: Reading) -> int:
        """Return the number."""
        del reading
        return self.replicas


@dataclass(kw_only=True)
class Ours:
    """The decider that runs in production, on a virtual clock."""

    policy: ScalingSpec
    start_s: float
    concurrency: float
    rate_per_replica: float | None = None
    _state: ScalingState | None = None
    _latencies: list[list[float]] = field(default_factory=list)

    def decide(self, reading: Reading) -> int:
        """Return what ``scaling.target`` wants."""
        now = _EPOCH + timedelta(seconds=reading.at_s)
        if self._state is None:
            self._state = begin_scaling(now, reading.replicas)
        latency_ms, count = self._latency(reading)
        sample = DemandSample(
            at=now, active=reading.active, pending=reading.pending,
            arrivals_per_s=reading.arrivals_per_s, latency_ms=latency_ms,
            latency_count=count, cpu_percent=reading.cpu_percent,
        )  # fmt: skip
        facts = ScalingFacts(
            sample=sample, replicas=reading.replicas, ready=reading.ready, start_s=self.start_s,
            concurrency=self.concurrency, rate_per_replica=self.rate_per_replica, activator_ready=True,
        )  # fmt: skip
        decided = target(self._state, facts, self.policy, now)
        self._state = decided.state
        return decided.replicas

    def _latency(self, reading: Reading) -> tuple[float | None, int]:
        if self.policy.latency is None:
            return None, 0
        self._latencies = [*self._latencies, list(reading.recent_s)][-_LATENCY_WINDOW_TICKS:]
        values = sorted(value for tick in self._latencies for value in tick)
        if not values:
            return 0.0, 0
        rank = min(len(values) - 1, int(len(values) * self.policy.latency.percentile / 100))
        return values[rank] * 1000, len(values)
