"""How decisions are built: weights and replica floors follow from the state, so they never disagree with it."""

from dataclasses import replace
from datetime import datetime

from prometheus_ai.domain.rollout import (
    Act,
    RolloutDecision,
    RolloutFacts,
    RolloutPhase,
    RolloutState,
    StepPlan,
)
from prometheus_ai.domain.route import WEIGHT_SUM, Weights


def decision(
    state: RolloutState,
    act: Act,
    reason: str,
    *,
    starts_step: bool = False,
    look_again_at: datetime | None = None,
) -> RolloutDecision:
    """Return a decision whose weights and replicas are those of its state."""
    known = replace(state, reason=reason) if act is not Act.HOLD else state
    return RolloutDecision(
        state=known,
        act=act,
        reason=reason,
        weights=weights_of(state),
        replicas=replicas_of(state),
        starts_step=starts_step,
        look_again_at=look_again_at,
    )


def hold(
    state: RolloutState, reason: str, look_again_at: datetime | None = None
) -> RolloutDecision:
    """Return the decision to change nothing."""
    return decision(state, Act.HOLD, reason, look_again_at=look_again_at)


def finish(state: RolloutState, reason: str, now: datetime) -> RolloutDecision:
    """Return the decision that the rollout is over; its weights stay."""
    done = replace(
        state, phase=RolloutPhase.DONE, phase_since=now, paused_since=None, replays=False
    )
    return decision(done, Act.FINISH, reason)


def roll_back(
    state: RolloutState, facts: RolloutFacts, reason: str, now: datetime
) -> RolloutDecision:
    """Give everything back to the stable release; when only the candidate is alive, wait for the stable one."""
    calm = replace(state, paused_since=None, asks=False, mirror=0.0, replays=False)
    if state.stable is None:
        ended = replace(calm, phase=RolloutPhase.ROLLED_BACK, phase_since=now)
        return decision(ended, Act.ROLLBACK, f"{reason}; there is no earlier release")
    if state.weight > 0 and facts.stable_ready == 0 and facts.candidate_ready > 0:
        if state.phase is RolloutPhase.ROLLING_BACK:
            return hold(state, f"{reason}; {state.stable} is not ready yet")
        waiting = replace(calm, phase=RolloutPhase.ROLLING_BACK, phase_since=now)
        return decision(waiting, Act.ROLLBACK, reason)
    back = replace(calm, phase=RolloutPhase.ROLLED_BACK, phase_since=now, weight=0.0)
    return decision(back, Act.ROLLBACK, reason)


def entered(state: RolloutState, step: int, now: datetime) -> RolloutState:
    """Return the state at the entrance of a step: its traffic is not given yet."""
    return replace(
        state, step=step, phase_since=now, given_at=None, waits=0, mirror=0.0, skips=False
    )


def step_plan(state: RolloutState) -> StepPlan:
    """Return the plan of the step that the rollout is on."""
    if state.phase is RolloutPhase.SHADOWING and state.plan.shadow is not None:
        return state.plan.shadow
    return state.plan.steps[state.step]


def weights_of(state: RolloutState) -> Weights:
    """Return the weights that a state stands for."""
    if state.stable is None:
        return ((state.candidate, WEIGHT_SUM),) if state.weight else ()
    ours = round(state.weight * WEIGHT_SUM / 100)
    pairs = ((state.stable, WEIGHT_SUM - ours), (state.candidate, ours))
    return tuple((version, weight) for version, weight in pairs if weight > 0)


def replicas_of(state: RolloutState) -> tuple[tuple[str, int], ...]:
    """Return the fewest replicas of each version; the stable one stays whole until the bake ends."""
    step = step_plan(state)
    stable = state.stable
    whole = max(1, state.plan.stable_replicas)
    if state.phase is RolloutPhase.DONE:
        whole_candidate = max(step.candidate_replicas, state.plan.candidate_replicas)
        floors = {state.candidate: whole_candidate if state.weight else 0}
        if stable is not None and state.weight < 100:
            floors[stable] = whole
    elif state.phase in {RolloutPhase.ROLLED_BACK, RolloutPhase.ROLLING_BACK}:
        # Traffic still on the candidate keeps its replicas until the stable release takes over,
        # unless that can only start in their place.
        stays = state.weight and state.plan.fits_beside
        floors = {state.candidate: step.candidate_replicas if stays else 0}
        if stable is not None:
            floors[stable] = whole
    else:
        floors = {state.candidate: step.candidate_replicas}
        if stable is not None:
            floors[stable] = step.stable_replicas
    return tuple(floors.items())
