"""What is measured of one release: at the gateway, and in its replicas where a target asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.demand import DemandSample
from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.domain.replica import ReplicaUsage, cpu_share
from prometheus_ai.domain.spec import ResourcesSpec
from prometheus_ai.domain.window import CounterSnapshot, ReleaseCounters, Window


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What the gateway counted of one release by now, and since the sample before."""

    counters: ReleaseCounters | None
    window: Window | None
    in_flight: int | None
    """Requests inside or waiting, at the sample before."""


def sample_of(
    snapshot: CounterSnapshot | None, seen: Seen, policy: ScalingSpec
) -> DemandSample | None:
    """Return what the gateway says of a release; None when it cannot be reached."""
    if snapshot is None:
        return None
    counters, window = seen.counters, seen.window
    if counters is None:
        return DemandSample(at=snapshot.at, active=0, pending=0, arrivals_per_s=0.0)
    latency_ms = None
    if window is not None and policy.latency is not None:
        value_s = window.latency_s.quantile(policy.latency.percentile / 100)
        latency_ms = None if value_s is None else value_s * 1000
    return DemandSample(
        at=snapshot.at,
        active=counters.active,
        pending=counters.pending,
        arrivals_per_s=_arrivals_per_s(counters, window, seen.in_flight),
        latency_ms=latency_ms,
        latency_count=window.latency_s.count if window is not None else 0,
    )


def _arrivals_per_s(
    counters: ReleaseCounters, window: Window | None, in_flight: int | None
) -> float | None:
    """Return what came since the sample before: answers, and the change of what is in flight."""
    if window is None or in_flight is None:
        return None
    span_s = (window.end - window.start).total_seconds()
    if span_s <= 0:
        return None
    came = window.requests + counters.active + counters.pending - in_flight
    return max(0.0, came / span_s)


@dataclass(kw_only=True)
class UsageMeter:
    """Reads what ready replicas use, for the releases whose targets ask for it."""

    plane: Plane
    before: dict[str, ReplicaUsage] = field(default_factory=dict)
    """The reading before, by replica."""

    def add_to(
        self, sample: DemandSample, replicas: Sequence[str], policy: ScalingSpec, on: "Place"
    ) -> DemandSample:
        """Return the sample with what its replicas use; what one of them does not say stays unknown."""
        if (policy.cpu is None and policy.memory is None) or not replicas:
            return sample
        try:
            now = self.plane.driver(on.target).usage(replicas)
        except PlatformError:
            return sample
        cores = [
            share
            for replica in replicas
            if replica in self.before
            and replica in now
            and (share := cpu_share(self.before[replica], now[replica])) is not None
        ]
        self.before |= now
        held = [now[replica].memory_bytes for replica in replicas if replica in now]
        count = len(replicas)
        return replace(
            sample,
            cpu_percent=100 * sum(cores) / count / on.resources.cpu
            if len(cores) == count
            else None,
            memory_percent=100 * sum(held) / count / on.resources.memory_bytes
            if len(held) == count
            else None,
        )

    def keep_only(self, replicas: frozenset[str]) -> None:
        """Forget the readings of replicas that ended."""
        for gone in self.before.keys() - replicas:
            del self.before[gone]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a release's replicas run, and what each may use."""

    target: str
    resources: ResourcesSpec
