"""What a rollout does next. Every phase has a bound and a way out; traffic moves to ready replicas only."""

from dataclasses import replace
from datetime import datetime, timedelta

from prometheus_ai.domain.evidence import Outcome
from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.rollout import (
    Act,
    Command,
    RolloutDecision,
    RolloutFacts,
    RolloutPhase,
    RolloutPlan,
    RolloutState,
    StepPlan,
)
from prometheus_ai.rollout.pending import low_traffic, may_widen
from prometheus_ai.rollout.shape import decision, entered, finish, hold, roll_back, step_plan

RETREATS_MAX = 3


def begin(
    candidate: str, stable: str | None, plan: RolloutPlan, policy: RolloutSpec, now: datetime
) -> RolloutState:
    """Return the state of a new rollout. The plan must not be a refusal."""
    assert plan.steps
    return RolloutState(
        candidate=candidate,
        stable=stable,
        strategy=policy.strategy,
        plan=plan,
        phase=RolloutPhase.STEPPING if plan.shadow is None else RolloutPhase.SHADOWING,
        started_at=now,
        phase_since=now,
        reason="begun",
    )


def supersede(state: RolloutState, by: str, now: datetime) -> tuple[RolloutState, str | None]:
    """End a rollout because a newer release takes its place; return it and the newer one's stable.

    A candidate that bakes has passed and counts as promoted; any other gives its traffic back first.
    """
    if state.phase is RolloutPhase.BAKING:
        ended = replace(
            state, phase=RolloutPhase.DONE, phase_since=now, reason=f"promoted early: {by} follows"
        )
        return ended, state.candidate
    if state.has_ended:
        promoted = state.phase is RolloutPhase.DONE and state.weight == 100
        return state, state.candidate if promoted else state.stable
    ended = replace(
        state, phase=RolloutPhase.ROLLED_BACK, phase_since=now, weight=0.0, mirror=0.0,
        replays=False, reason=f"superseded by {by}",
    )  # fmt: skip
    return ended, state.stable


def next_step(
    state: RolloutState, facts: RolloutFacts, policy: RolloutSpec, now: datetime
) -> RolloutDecision:
    """Decide what a rollout does now."""
    if state.has_ended:
        return hold(state, state.reason)
    if facts.command in {Command.ROLLBACK, Command.ABORT}:
        return roll_back(state, facts, f"{facts.command.value} was asked for", now)
    if facts.failure:
        return roll_back(state, facts, f"{state.candidate} failed: {facts.failure}", now)
    if state.phase is RolloutPhase.ROLLING_BACK:
        return roll_back(state, facts, state.reason, now)
    urgent = _urgent(state, facts, policy, now)
    if urgent is not None:
        return urgent
    if facts.command is not None:
        return _obey(state, facts, policy, now)
    if state.paused_since is not None:
        return _paused(state, facts, policy, now)
    if state.phase is RolloutPhase.BAKING:
        return _bake(state, policy, now)
    return _proceed(state, facts, policy, now)


def _urgent(
    state: RolloutState, facts: RolloutFacts, policy: RolloutSpec, now: datetime
) -> RolloutDecision | None:
    """Act on a bad verdict, or on a candidate that nobody can reach."""
    verdict = facts.verdict
    fails = verdict is not None and verdict.outcome is Outcome.FAIL
    if verdict is not None and fails and (policy.on_fail != "pause" or verdict.acts_at_once):
        return roll_back(state, facts, verdict.reason, now)
    if state.weight > 0 and facts.candidate_ready == 0 and state.stable is not None:
        return _retreat(state, facts, now)
    if verdict is not None and fails and state.paused_since is None:
        paused = replace(state, paused_since=now, asks=True)
        return decision(paused, Act.PAUSE, f"judged harmful: {verdict.reason}")
    return None


def _retreat(state: RolloutState, facts: RolloutFacts, now: datetime) -> RolloutDecision:
    if state.retreats >= RETREATS_MAX or state.phase is RolloutPhase.BAKING:
        return roll_back(state, facts, "no replica of the candidate is ready", now)
    if facts.stable_ready == 0:
        return roll_back(state, facts, "no replica of either release is ready", now)
    back = replace(state, weight=0.0, given_at=None, phase_since=now, retreats=state.retreats + 1)
    return decision(
        back, Act.RETREAT,
        "no replica of the candidate is ready: its traffic goes back until one is",
    )  # fmt: skip


def _obey(
    state: RolloutState, facts: RolloutFacts, policy: RolloutSpec, now: datetime
) -> RolloutDecision:
    if facts.command is Command.PAUSE:
        paused = replace(state, paused_since=state.paused_since or now, asks=False)
        return decision(paused, Act.PAUSE, "paused by request; traffic stays as it is")
    if facts.command is Command.RESUME:
        resumed = replace(state, paused_since=None, asks=False, waits=0)
        return decision(resumed, Act.RESUME, "resumed by request")
    running = replace(state, paused_since=None, asks=False)
    if state.phase is RolloutPhase.BAKING:
        return finish(running, "the bake was ended by request", now)
    if facts.command is Command.PROMOTE and state.plan.is_swap:
        hurried = replace(running, hurries=True, mirror=0.0)
        return _proceed(hurried, replace(facts, command=None), policy, now)
    if facts.command is Command.PROMOTE:
        last = len(state.plan.steps) - 1
        whole = replace(
            running, phase=RolloutPhase.STEPPING, step=last, mirror=0.0, given_at=None,
            phase_since=now, skips=True, plan=_ending_whole(state.plan),
        )  # fmt: skip
        return _proceed(whole, replace(facts, command=None), policy, now)
    assert facts.command is Command.SKIP
    return _proceed(replace(running, skips=True), replace(facts, command=None), policy, now)


def _ending_whole(plan: RolloutPlan) -> RolloutPlan:
    """Let a plan end at all traffic; that of an A/B comparison does not by itself."""
    last = plan.steps[-1]
    if last.percent == 100:
        return plan
    replicas = max(last.candidate_replicas, last.stable_replicas)
    whole = replace(last, percent=100.0, candidate_replicas=replicas)
    return replace(plan, steps=(*plan.steps[:-1], whole))


def _paused(
    state: RolloutState, facts: RolloutFacts, policy: RolloutSpec, now: datetime
) -> RolloutDecision:
    assert state.paused_since is not None
    until = state.paused_since + timedelta(seconds=policy.patience_s * policy.waits_max)
    if now >= until and state.phase is not RolloutPhase.BAKING:
        return roll_back(
            state, facts, f"nobody answered for {policy.patience_s * policy.waits_max:g} s", now
        )
    if now >= until:
        return finish(state, "the bake ended while paused", now)
    why = "a person was asked" if state.asks else "paused by request"
    return hold(state, f"{why}; traffic stays as it is", until)


def _bake(state: RolloutState, policy: RolloutSpec, now: datetime) -> RolloutDecision:
    until = state.phase_since + timedelta(seconds=policy.bake_s)
    if now >= until:
        return finish(state, f"it served all traffic for {policy.bake_s:g} s", now)
    return hold(state, f"{state.stable or 'nothing'} stays ready for a rollback", until)


def _proceed(
    state: RolloutState, facts: RolloutFacts, policy: RolloutSpec, now: datetime
) -> RolloutDecision:
    if state.given_at is None:
        return _give(state, facts, policy, now)
    if state.skips or state.hurries:
        return _advance(replace(state, skips=False), facts, policy, now, Act.ADVANCE, "by request")
    earliest = state.given_at + timedelta(seconds=policy.step_s)
    if now < earliest:
        return hold(state, f"at least {policy.step_s:g} s on each step", earliest)
    verdict = facts.verdict
    judged = verdict.comparison if verdict is not None else None
    seen = judged.step_requests if judged is not None else 0
    if state.strategy == "rolling":
        return _advance(state, facts, policy, now, Act.ADVANCE, "nothing speaks against it")
    enough = seen >= policy.step_requests
    if verdict is not None and verdict.outcome is Outcome.PASS and enough:
        return _advance(state, facts, policy, now, Act.ADVANCE, verdict.reason)
    why = verdict.reason if verdict is not None else "nothing was measured yet"
    if verdict is not None and not enough:
        why = f"{seen} of {policy.step_requests} requests on this step; {why}"
    if state.strategy == "ab" and state.phase is RolloutPhase.STEPPING:
        return hold(state, f"an A/B comparison ends by request; {why}")
    return _wait(state, facts, policy, now, why)


def _give(
    state: RolloutState, facts: RolloutFacts, policy: RolloutSpec, now: datetime
) -> RolloutDecision:
    """Give the step its traffic, once the replicas for it are ready."""
    step = step_plan(state)
    needed = step.candidate_replicas
    if facts.candidate_ready < needed:
        until = state.phase_since + timedelta(seconds=policy.ready_s)
        if now >= until:
            return roll_back(
                state, facts,
                f"{facts.candidate_ready} of {needed} replicas were ready after {policy.ready_s:g} s", now,
            )  # fmt: skip
        return hold(state, f"{facts.candidate_ready} of {needed} replicas are ready", until)
    given = replace(state, given_at=now, phase_since=now, waits=0)
    if state.phase is RolloutPhase.SHADOWING:
        mirrored = replace(given, mirror=step.percent, skips=False)
        return decision(
            mirrored, Act.ADVANCE, f"mirrors {step.percent:g} % of requests", starts_step=True
        )
    weighted = replace(given, weight=step.percent, mirror=0.0)
    if step.percent < 100:
        reason = f"{needed} replicas are ready: {step.percent:g} % of traffic"
        return decision(replace(weighted, skips=False), Act.ADVANCE, reason, starts_step=True)
    baking = replace(weighted, phase=RolloutPhase.BAKING, skips=False, replays=False)
    # Where replicas were exchanged, the last of the old ones go only once the traffic has left them.
    if state.stable is None or (policy.bake_s == 0 and not state.plan.is_swap):
        return finish(baking, "it has all traffic", now)
    return decision(
        baking, Act.ADVANCE, f"all traffic; bakes for {policy.bake_s:g} s",
        starts_step=True, look_again_at=now + timedelta(seconds=policy.bake_s),
    )  # fmt: skip


def _advance(
    state: RolloutState,
    facts: RolloutFacts,
    policy: RolloutSpec,
    now: datetime,
    act: Act,
    reason: str,
) -> RolloutDecision:
    """Enter the next step; its traffic follows at once when its replicas are ready already."""
    following = _following(state, policy, now)
    if following is None:
        return finish(replace(state, mirror=0.0), f"shadow passed: {reason}", now)
    given = _give(following, facts, policy, now)
    if given.act is Act.HOLD:
        return decision(following, act, f"{reason}; {given.reason}")
    return replace(given, act=act if given.act is Act.ADVANCE else given.act,
                   reason=f"{reason}; {given.reason}")  # fmt: skip


def _following(state: RolloutState, policy: RolloutSpec, now: datetime) -> RolloutState | None:
    if state.phase is not RolloutPhase.SHADOWING:
        return entered(state, min(state.step + 1, len(state.plan.steps) - 1), now)
    if policy.shadow is not None and policy.shadow.then == "stop":
        return None
    return replace(entered(state, 0, now), phase=RolloutPhase.STEPPING)


def _wait(
    state: RolloutState, facts: RolloutFacts, policy: RolloutSpec, now: datetime, why: str
) -> RolloutDecision:
    """Hold until patience ends; then do what the policy says for low traffic."""
    assert state.given_at is not None
    until = state.given_at + timedelta(seconds=policy.patience_s * (state.waits + 1))
    if now < until:
        return hold(state, why, until)
    if policy.low_traffic == "widen" and may_widen(state):
        return _advance(state, facts, policy, now, Act.WIDEN, f"no verdict in time; {why}")
    return low_traffic(state, facts, policy, now, why)


def next_plan_step(state: RolloutState) -> StepPlan | None:
    """Return the step after the present one; None at the end."""
    following = state.step + 1
    return state.plan.steps[following] if following < len(state.plan.steps) else None
