"""How much is asked of one release, and how many replicas that takes."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class DemandSample:
    """What was measured of one release at one time. What is None was not measured, and is never zero."""

    at: datetime
    active: float
    """Requests in replicas; best averaged since the sample before."""
    pending: float
    """Requests that wait at the gateway or in the activator."""
    arrivals_per_s: float | None = None
    """Requests that came since the sample before, answered or not: answers plus the change of what is in flight."""
    latency_ms: float | None = None
    """The percentile that the policy names."""
    latency_count: int = 0
    """Requests behind that percentile."""
    cpu_percent: float | None = None
    """Mean over ready replicas."""
    memory_percent: float | None = None
    metrics: tuple[tuple[str, float], ...] = ()
    """Own metrics by name, over all replicas together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalingFacts:
    """What a scaling decision looks at."""

    sample: DemandSample | None
    """The newest; None when there is none."""
    replicas: int
    """How many are wanted now."""
    ready: int
    start_s: float = 5.0
    """How long a replica of this release takes from start to ready, as measured."""
    concurrency: float | None = None
    """Requests that one replica handles at once, as measured."""
    rate_per_replica: float | None = None
    """Requests a second that one replica answers at most, as measured."""
    floor: int = 0
    """Fewest replicas that a rollout needs now."""
    ceiling: int | None = None
    """Most replicas that there is room for."""
    activator_ready: bool = False
    """Whether requests would be held for this release if it slept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalingState:
    """Everything that scaling remembers of one release; its size never grows. Times are Unix seconds."""

    since: float
    """When the history begins."""
    demand: tuple[tuple[int, float, float, int], ...] = ()
    """By slot of time: sum, sum of squares and count of the load, in replicas fully used."""
    kept: tuple[tuple[int, int], ...] = ()
    """By slot of time: the most replicas that were needed."""
    panic_since: float | None = None
    panic_replicas: int = 0
    idle_since: float | None = None
    missing_since: float | None = None
    latency_until: float = 0.0
    """Until then the effect of the last reaction to latency is awaited."""
    rate_seen: float = 0.0
    """What one replica answers a second while more than it can take is there; 0 until that was seen."""
    in_flight: float = 0.0
    """Of the last sample, taken at ``sampled_at``."""
    sampled_at: float = 0.0
    period_start: float = 0.0
    period_replicas: int = 0
    """Replicas at the start of the period that limits on change count from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalingDecision:
    """How many replicas to want, and every number that led there."""

    state: ScalingState
    replicas: int
    reason: str
    parts: tuple[tuple[str, int], ...] = ()
    """What each target by itself would want; the largest counts."""
    load_stable: float = 0.0
    """Replicas that demand would use fully: mean of the stable window, and of the panic window."""
    load_panic: float = 0.0
    is_panicking: bool = False
