"""How many replicas each target by itself would want."""

import math
from dataclasses import replace
from datetime import UTC, datetime

from prometheus_ai.domain.demand import DemandSample, ScalingFacts, ScalingState
from prometheus_ai.domain.policy import ScalingSpec, ScheduledFloor

ASSUMED_CONCURRENCY = 8.0
"""Used until a replica's own is measured or declared."""
LATENCY_SAMPLES_MIN = 60
DRAIN_S_MIN = 5.0
"""A backlog is worked off in a start-up time, or in this if that is shorter."""
USE_MAX = 0.85
GROWTH_MAX = 3.0
"""While a replica's rate is unknown, a queue asks for no more than this many times what is ready."""
_SPREADS = 2.0
_LEARNING = 0.1
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def concurrency_of(facts: ScalingFacts, policy: ScalingSpec) -> float:
    """Return how many requests a replica handles at once: declared, else measured, else assumed."""
    return policy.concurrency or facts.concurrency or ASSUMED_CONCURRENCY


def learn_rate(
    state: ScalingState, sample: DemandSample, facts: ScalingFacts, policy: ScalingSpec
) -> ScalingState:
    """Return the state that knows what a replica answers when it has more than enough to do."""
    at_s, in_flight = sample.at.timestamp(), sample.active + sample.pending
    span_s = at_s - state.sampled_at
    rate = state.rate_seen
    is_saturated = min(in_flight, state.in_flight) >= facts.ready * concurrency_of(facts, policy)
    if sample.arrivals_per_s is not None and facts.ready and 0 < span_s < policy.stale_s:
        answered_per_s = sample.arrivals_per_s - (in_flight - state.in_flight) / span_s
        if is_saturated and answered_per_s > 0:
            seen = answered_per_s / facts.ready
            rate = seen if rate <= 0 else rate + _LEARNING * (seen - rate)
    return replace(state, rate_seen=rate, in_flight=in_flight, sampled_at=at_s)


def rate_of(state: ScalingState, facts: ScalingFacts) -> float:
    """Return what one replica answers a second at most: as measured before, or as seen; 0 when unknown."""
    return facts.rate_per_replica or state.rate_seen


def load_of(sample: DemandSample, facts: ScalingFacts, policy: ScalingSpec, rate: float) -> float:
    """Return how many replicas the demand would use fully.

    What is in flight stands for it, by Little's law; but a queue grows with every second of overload, so a
    small lack of replicas would be answered with a huge surplus. With arrivals and a replica's rate known,
    one over the other, plus what drains a backlog in time, is the most that counts, and most of it the least.
    """
    concurrency = concurrency_of(facts, policy)
    in_flight = sample.active + sample.pending
    by_flight = in_flight / concurrency
    if sample.arrivals_per_s is None or rate <= 0:
        return min(by_flight, GROWTH_MAX * max(1, facts.ready))
    backlog = max(0.0, in_flight - facts.ready * concurrency)
    drain_s = max(DRAIN_S_MIN, facts.start_s)
    by_rate = sample.arrivals_per_s / rate
    lowest = by_rate * policy.utilisation / max(policy.utilisation, USE_MAX)
    return min(max(by_flight, lowest), by_rate + backlog / drain_s / rate)


def replicas_for(load: float, spread: float, concurrency: float, utilisation: float) -> int:
    """Return the replicas that carry a load with room for its fluctuation.

    A target utilisation leaves room in proportion to the load, but independent requests fluctuate with its
    square root only: the larger the fleet, the less room it needs. The smaller of both rules counts, with
    the measured spread where that is more than chance, and never more than ``USE_MAX`` of a replica.
    """
    if load <= 0:
        return 0
    by_utilisation = load / utilisation
    by_spread = load + _SPREADS * max(spread, math.sqrt(load / concurrency))
    wanted = min(by_utilisation, max(by_spread, load / max(utilisation, USE_MAX)))
    return max(1, math.ceil(wanted - 1e-9))


def metric_wishes(
    sample: DemandSample, facts: ScalingFacts, policy: ScalingSpec
) -> tuple[dict[str, int], list[str]]:
    """Return what queue, CPU, memory and own metrics want, and which of them were not measured."""
    wishes: dict[str, int] = {}
    missing: list[str] = []
    if policy.queue is not None:
        wishes["queue"] = math.ceil(sample.pending / policy.queue - 1e-9)
    for name, target, value in (
        ("cpu", policy.cpu, sample.cpu_percent),
        ("memory", policy.memory, sample.memory_percent),
    ):
        if target is None:
            continue
        if value is None:
            missing.append(name)
            continue
        wishes[name] = _by_ratio(value / target, facts, policy.tolerance)
    own = dict(sample.metrics)
    for metric in policy.metrics:
        if metric.name in own:
            wishes[metric.name] = math.ceil(own[metric.name] / metric.per_replica - 1e-9)
        else:
            missing.append(metric.name)
    return wishes, missing


def latency_wish(
    sample: DemandSample, facts: ScalingFacts, policy: ScalingSpec
) -> tuple[int, bool] | None:
    """Return what latency wants, and whether that is more than there is; None when it has no say."""
    target = policy.latency
    if target is None or sample.latency_ms is None:
        return None
    if sample.latency_count < LATENCY_SAMPLES_MIN or facts.ready == 0:
        return None
    ratio = sample.latency_ms / target.ms
    if ratio > 1 + policy.tolerance:
        return min(math.ceil(facts.ready * ratio), 2 * facts.ready), True
    # Close to its target, taking replicas away would only bring it back.
    return (facts.replicas, False) if ratio > 1 - 3 * policy.tolerance else None


def scheduled(schedule: tuple[ScheduledFloor, ...], now: datetime) -> int:
    """Return the most replicas that the schedule asks for now; an end before its start is the next day's."""
    utc = now.astimezone(UTC)
    clock = utc.strftime("%H:%M")
    today, before = _DAYS[utc.weekday()], _DAYS[utc.weekday() - 1]
    wanted = 0
    for entry in schedule:
        if entry.start <= entry.end:
            is_in = today in entry.days and entry.start <= clock < entry.end
        else:
            is_in = (today in entry.days and clock >= entry.start) or (
                before in entry.days and clock < entry.end
            )
        wanted = max(wanted, entry.replicas if is_in else 0)
    return wanted


def _by_ratio(ratio: float, facts: ScalingFacts, tolerance: float) -> int:
    if abs(ratio - 1) <= tolerance or facts.ready == 0:
        return facts.replicas
    return math.ceil(facts.ready * ratio - 1e-9)
