"""What simulations come to: numbers for tables, and points for plots."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_ai.simulate.fleet import Limits, Ran, Scaler, simulate
from prometheus_ai.simulate.service import ServiceProfile
from prometheus_ai.simulate.trace import Trace


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One scaler on one trace."""

    trace: str
    scaler: str
    requests: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    misses: int
    """Requests slower than the objective, turned away or never answered."""
    rejected: int
    held: int
    starts: int
    replica_s: float
    replicas_max: int
    cost: float
    """At the price that was given, for the whole trace."""
    timeline: tuple[tuple[float, int, float], ...] = ()
    """By tick: seconds, replicas, mean requests in flight."""

    @property
    def miss_share(self) -> float:
        """Misses per request."""
        return self.misses / self.requests if self.requests else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """What counts as a miss, and what a replica costs."""

    slo_s: float
    price_per_hour: float = 0.0


def compare_scalers(
    trace: Trace,
    profile: ServiceProfile,
    scalers: Mapping[str, Scaler],
    objective: Objective,
    limits: Limits,
) -> tuple[Row, ...]:
    """Run several scalers on the same trace with the same seed, and return a row for each."""
    return tuple(
        summarise(trace, name, simulate(trace, profile, scaler, limits), objective)
        for name, scaler in scalers.items()
    )


def summarise(trace: Trace, scaler: str, ran: Ran, objective: Objective) -> Row:
    """Return the numbers of one run."""
    latencies = ran.latencies_s
    slow = len(latencies) - bisect_right(latencies, objective.slo_s)
    return Row(
        trace=trace.name, scaler=scaler, requests=ran.arrived,
        p50_ms=_quantile_ms(latencies, 0.5), p95_ms=_quantile_ms(latencies, 0.95),
        p99_ms=_quantile_ms(latencies, 0.99),
        misses=slow + ran.rejected + ran.unanswered, rejected=ran.rejected, held=ran.held,
        starts=ran.starts, replica_s=round(ran.replica_s, 1), replicas_max=ran.replicas_max,
        cost=ran.replica_s / 3600 * objective.price_per_hour, timeline=ran.timeline,
    )  # fmt: skip


def _quantile_ms(latencies: tuple[float, ...], q: float) -> float:
    if not latencies:
        return 0.0
    rank = max(1, math.ceil(q * len(latencies)))
    return latencies[rank - 1] * 1000
