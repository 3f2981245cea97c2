"""When a verdict does not come: wait, widen, mirror, replay or ask, each a bounded number of times."""

from dataclasses import replace
from datetime import datetime, timedelta

from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.rollout import (
    Act,
    RolloutDecision,
    RolloutFacts,
    RolloutPhase,
    RolloutState,
)
from prometheus_ai.rollout.shape import decision, roll_back

WIDEST = 50.0
"""Without a verdict a candidate never gets more than half."""


def may_widen(state: RolloutState) -> bool:
    """Whether the next step may be taken without a verdict."""
    following = state.step + 1
    if state.phase is not RolloutPhase.STEPPING or following >= len(state.plan.steps):
        return False
    return state.plan.steps[following].percent <= WIDEST


def low_traffic(
    state: RolloutState, facts: RolloutFacts, policy: RolloutSpec, now: datetime, why: str
) -> RolloutDecision:
    """Do what the policy says once patience has ended without a verdict."""
    waits = state.waits + 1
    if waits > policy.waits_max:
        patience_s = policy.patience_s * waits
        return roll_back(state, facts, f"no verdict within {patience_s:g} s; {why}", now)
    waited = replace(state, waits=waits)
    if policy.low_traffic == "ask":
        asking = replace(waited, paused_since=now, asks=True)
        return decision(
            asking, Act.PAUSE, f"no verdict in time: promote, skip or roll back by hand; {why}"
        )
    until = now + timedelta(seconds=policy.patience_s)
    if policy.low_traffic == "shadow" and state.mirror < 100:
        mirrored = replace(waited, mirror=100.0)
        return decision(
            mirrored, Act.MIRROR, f"no verdict in time: shadow traffic is added; {why}",
            look_again_at=until,
        )  # fmt: skip
    if policy.low_traffic == "replay" and not state.replays and facts.kept:
        return decision(
            replace(waited, replays=True), Act.REPLAY,
            f"no verdict in time: {facts.kept} kept requests are replayed; {why}",
            look_again_at=until,
        )  # fmt: skip
    waiting = f"waits on, {waits} of {policy.waits_max}"
    if policy.low_traffic == "replay" and not facts.kept:
        waiting += "; no kept request is left to replay"
    return decision(waited, Act.HOLD, f"{waiting}; {why}", look_again_at=until)
