"""How many replicas a release should have now."""

import math
from dataclasses import dataclass, replace
from datetime import datetime

from prometheus_ai.domain.demand import (
    DemandSample,
    ScalingDecision,
    ScalingFacts,
    ScalingState,
)
from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.scaling.window import SLOTS, Demand, add_sample, demand_over, slot_of
from prometheus_ai.scaling.wishes import (
    concurrency_of,
    latency_wish,
    learn_rate,
    load_of,
    metric_wishes,
    rate_of,
    replicas_for,
    scheduled,
)

PANIC_SLOTS = SLOTS // 10
NEWEST_SLOTS = 2
KEPT_SLOTS = 30
DOWN_STARTS = 30.0
DOWN_S_MIN, DOWN_S_MAX = 60.0, 300.0
"""A replica that takes long to come back is kept longer: thirty start-up times, within these bounds."""
LEAD_S_MAX = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wish:
    """What demand and targets want, before limits."""

    parts: dict[str, int]
    stable: Demand
    panic: Demand
    burst: float
    """The load of the last moments, less what may be chance."""
    may_shrink: bool
    state: ScalingState


def begin_scaling(now: datetime, replicas: int) -> ScalingState:
    """Return the state without history: with replicas running it begins as if in panic, so nothing shrinks."""
    now_s = now.timestamp()
    return ScalingState(
        since=now_s,
        panic_since=now_s if replicas > 0 else None,
        panic_replicas=replicas,
        period_start=now_s,
        period_replicas=replicas,
    )


def target(
    state: ScalingState, facts: ScalingFacts, policy: ScalingSpec, now: datetime
) -> ScalingDecision:
    """Return how many replicas to want, and why."""
    now_s = now.timestamp()
    sample = facts.sample
    if sample is None or now_s - sample.at.timestamp() > policy.stale_s:
        return _without_data(state, facts, policy, now)
    state = replace(state, missing_since=None)
    wish = _wishes(state, sample, facts, policy, now)
    state, wanted, is_panicking = _calm_or_panic(wish, facts, policy, now_s)
    wanted = max(wanted, scheduled(policy.schedule, now))
    state, kept = _keep(state, wanted, _down_s(facts, policy), now_s)
    reason = _largest(wish.parts, wanted)
    if kept > wanted:
        reason = f"{kept} were needed within the last {_down_s(facts, policy):.0f} s"
    if kept < facts.replicas and not wish.may_shrink:
        kept, reason = facts.replicas, "a target was not measured, so nothing shrinks"
    state, limited = _limit(state, kept, facts, policy, now_s)
    if limited != kept:
        reason = f"{reason}; at most so much change within {policy.stable_s:.0f} s"
    may_sleep = replace(
        facts,
        floor=max(facts.floor, min(scheduled(policy.schedule, now), policy.max)),
        activator_ready=facts.activator_ready and wish.may_shrink,
    )
    state, final, why = _bounded(state, limited, sample, may_sleep, policy, now_s)
    return ScalingDecision(
        state=state, replicas=final, reason=why or reason, parts=tuple(sorted(wish.parts.items())),
        load_stable=wish.stable.mean, load_panic=wish.panic.mean, is_panicking=is_panicking,
    )  # fmt: skip


def _wishes(
    state: ScalingState,
    sample: DemandSample,
    facts: ScalingFacts,
    policy: ScalingSpec,
    now: datetime,
) -> _Wish:
    now_s = now.timestamp()
    slot_s = policy.stable_s / SLOTS
    slot = slot_of(now_s, policy.stable_s)
    state = learn_rate(state, sample, facts, policy)
    rate = rate_of(state, facts)
    slots = add_sample(state.demand, slot, load_of(sample, facts, policy, rate))
    stable = demand_over(slots, slot, SLOTS, slot_s)
    panic = demand_over(slots, slot, PANIC_SLOTS, slot_s)
    newest = demand_over(slots, slot, NEWEST_SLOTS, slot_s).mean
    burst = max(panic.mean, newest - _chance(newest, slot_s * NEWEST_SLOTS, rate))
    concurrency = concurrency_of(facts, policy)
    lead_s = min(facts.start_s, LEAD_S_MAX)
    coming = _coming(stable, policy.stable_s, lead_s)
    wanted = replicas_for(coming, stable.spread, concurrency, policy.utilisation)
    if wanted < facts.replicas:
        # Shrink only to what would still hold a little more, or the next fluctuation brings it back.
        padded = coming * (1 + policy.tolerance)
        wanted = min(
            facts.replicas, replicas_for(padded, stable.spread, concurrency, policy.utilisation)
        )
    parts, missing = metric_wishes(sample, facts, policy)
    parts["demand"] = wanted
    latency = latency_wish(sample, facts, policy)
    if policy.latency is not None and sample.latency_ms is None and sample.active > 0:
        missing.append("latency")
    if latency is not None:
        wish, is_more = latency
        if not is_more:
            parts["latency"] = wish
        elif now_s >= state.latency_until:
            parts["latency"] = wish
            state = replace(state, latency_until=now_s + facts.start_s + policy.stable_s / 2)
        else:
            parts["latency"] = facts.replicas
    return _Wish(
        parts=parts, stable=stable, panic=panic, burst=burst, may_shrink=not missing,
        state=replace(state, demand=slots),
    )  # fmt: skip


def _chance(load: float, span_s: float, rate: float) -> float:
    """Return the standard deviation that counting so few requests gives a load; all of it without a rate."""
    return math.sqrt(load / (rate * span_s)) if rate > 0 else load


def _coming(stable: Demand, stable_s: float, lead_s: float) -> float:
    """Return the demand to expect when a replica that starts now is ready: the mean, moved along a rising trend.

    The mean of a window is the demand of half a window ago. The forecast is bounded by doubling.
    """
    return min(stable.mean + stable.slope_per_s * (stable_s / 2 + lead_s), 2 * stable.mean)


def _calm_or_panic(
    wish: _Wish, facts: ScalingFacts, policy: ScalingSpec, now_s: float
) -> tuple[ScalingState, int, bool]:
    """In a burst, follow the short window and never shrink, until it has been calm for a whole long one."""
    state = wish.state
    concurrency = concurrency_of(facts, policy)
    burst = replicas_for(wish.burst, 0.0, concurrency, policy.utilisation)
    wanted = max(wish.parts.values())
    is_over = burst / max(1, facts.ready) >= policy.panic_ratio and burst > 1
    if is_over:
        most = max(state.panic_replicas, wanted, burst)
        return replace(state, panic_since=now_s, panic_replicas=most), most, True
    if state.panic_since is not None and now_s - state.panic_since <= policy.stable_s:
        most = max(state.panic_replicas, wanted)
        return replace(state, panic_replicas=most), most, True
    return replace(state, panic_since=None, panic_replicas=0), wanted, False


def _down_s(facts: ScalingFacts, policy: ScalingSpec) -> float:
    if policy.down_s is not None:
        return policy.down_s
    return min(max(DOWN_STARTS * facts.start_s, DOWN_S_MIN), DOWN_S_MAX)


def _keep(
    state: ScalingState, wanted: int, down_s: float, now_s: float
) -> tuple[ScalingState, int]:
    """Return the most that was needed lately: a sliding maximum in slots."""
    if down_s <= 0:
        return replace(state, kept=()), wanted
    slot = math.floor(now_s / (down_s / KEPT_SLOTS))
    kept = [entry for entry in state.kept if slot - KEPT_SLOTS < entry[0] <= slot]
    # What was needed less, earlier, can never be the maximum again.
    while kept and kept[-1][1] <= wanted:
        kept.pop()
    if not kept or kept[-1][0] < slot:
        kept.append((slot, wanted))
    return replace(state, kept=tuple(kept)), max(most for _, most in kept)


def _limit(
    state: ScalingState, wanted: int, facts: ScalingFacts, policy: ScalingSpec, now_s: float
) -> tuple[ScalingState, int]:
    """Bound the change within one stable window, which begins with a change."""
    if now_s - state.period_start >= policy.stable_s or now_s < state.period_start:
        state = replace(state, period_replicas=facts.replicas)
        if wanted != facts.replicas:
            state = replace(state, period_start=now_s)
    if state.period_replicas == 0:
        return state, wanted
    lowest = math.ceil(state.period_replicas * (1 - policy.down_percent / 100) - 1e-9)
    highest = max(state.period_replicas + policy.up_max, facts.replicas)
    return state, min(max(wanted, min(lowest, facts.replicas)), highest)


def _bounded(
    state: ScalingState,
    wanted: int,
    sample: DemandSample,
    facts: ScalingFacts,
    policy: ScalingSpec,
    now_s: float,
) -> tuple[ScalingState, int, str]:
    """Apply bounds, and decide about zero: only after a whole idle window that was really measured."""
    is_idle = (
        sample.active + sample.pending <= 0
        and not sample.arrivals_per_s
        # What an own metric counts is work to be done, though nobody asks at the gateway.
        and all(value <= 0 for _, value in sample.metrics)
    )
    idle_since = (state.idle_since if state.idle_since is not None else now_s) if is_idle else None
    state = replace(state, idle_since=idle_since)
    lowest = max(policy.min, facts.floor)
    reason = ""
    if lowest == 0:
        idle_s = 0.0 if idle_since is None else now_s - max(idle_since, state.since)
        sleeps = is_idle and idle_s >= policy.idle_s and facts.activator_ready
        if facts.replicas == 0 and is_idle:
            return state, 0, "asleep"
        if sleeps:
            return (
                replace(state, kept=(), panic_since=None, panic_replicas=0),
                0,
                (f"no request for {idle_s:.0f} s"),
            )
        lowest = 1
    highest = max(policy.max, lowest)
    if facts.ceiling is not None:
        highest = max(min(highest, facts.ceiling), lowest)
    final = min(max(wanted, lowest), highest)
    if final < wanted:
        reason = f"{wanted} wanted, {final} is the most there may be"
    elif final > wanted:
        reason = f"{final} is the fewest there may be"
    return state, final, reason


def _without_data(
    state: ScalingState, facts: ScalingFacts, policy: ScalingSpec, now: datetime
) -> ScalingDecision:
    """Keep what runs: silence is never a reason to shrink."""
    now_s = now.timestamp()
    missing_since = state.missing_since if state.missing_since is not None else now_s
    # Whatever shrinks later must rest on a whole window of new data.
    state = replace(
        state, missing_since=missing_since, idle_since=None, panic_since=now_s,
        panic_replicas=max(state.panic_replicas, facts.replicas),
    )  # fmt: skip
    wanted = max(facts.replicas, facts.floor, policy.min, scheduled(policy.schedule, now))
    missing_s = now_s - missing_since
    reason = f"no measurements for {missing_s:.0f} s: nothing shrinks"
    if missing_s >= policy.missing_s and policy.missing_replicas is not None:
        wanted = max(wanted, policy.missing_replicas)
        reason = f"no measurements for {missing_s:.0f} s: at least {policy.missing_replicas}"
    highest = max(policy.max, facts.replicas, facts.floor)
    return ScalingDecision(state=state, replicas=min(wanted, highest), reason=reason)


def _largest(parts: dict[str, int], wanted: int) -> str:
    if not parts:
        return "nothing is asked"
    name = max(parts, key=lambda part: parts[part])
    if parts[name] < wanted:
        return f"a burst or the schedule wants {wanted}"
    return f"{name} wants {parts[name]}"
