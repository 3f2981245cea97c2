"""Does a rollout fit? Every step is planned with its replicas, and with the way back from it."""

import math
from dataclasses import dataclass, replace

from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.rollout import RolloutPlan, StepPlan

_FULL = 0.95
"""How far replicas may be used for the moments of a rollback or an exchange."""
_ROLLING_STEPS_MAX = 20
_EXCHANGES_MAX = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What is free on the target, or what one replica takes."""

    cpu: float
    memory_bytes: int
    gpu: int = 0

    def plus(self, other: "Room", times: int = 1) -> "Room":
        """Return this room with another added."""
        return Room(
            cpu=self.cpu + other.cpu * times,
            memory_bytes=self.memory_bytes + other.memory_bytes * times,
            gpu=self.gpu + other.gpu * times,
        )

    def holds(self, one: "Room") -> int:
        """Return how many replicas of this size fit."""
        parts = []
        if one.cpu > 0:
            parts.append(math.floor(self.cpu / one.cpu + 1e-9))
        if one.memory_bytes > 0:
            parts.append(self.memory_bytes // one.memory_bytes)
        if one.gpu > 0:
            parts.append(self.gpu // one.gpu)
        return max(0, min(parts, default=1_000_000))


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What a plan stands on: replicas that run, what they carry, and what is free."""

    stable_replicas: int
    """Zero when there is no earlier release."""
    stable_size: Room
    candidate_size: Room
    free: Room
    """Beside everything that runs now, replicas of the candidate included in ``candidate_running``."""
    candidate_running: int = 0
    candidate_whole: int = 0
    """Replicas that the candidate is to have at all traffic; 0: as many as the stable release has."""
    demand: float = 0.0
    """Requests in flight at once, now or as forecast, whichever is more."""
    per_replica: float = 0.0
    """Requests that one replica handles at once; 0 when unknown, and then today's replicas are all needed."""
    utilisation: float = 0.7
    start_s: float = 10.0
    rate_per_s: float = 0.0
    requests_to_decide: int = 1500
    """What a verdict will take, from the analysis of the baseline's rates."""

    def needed(self, share: float, utilisation: float) -> int:
        """Return the replicas that carry a share of the demand."""
        if self.stable_replicas == 0:
            return 1
        if self.per_replica <= 0:
            return max(1, math.ceil(self.stable_replicas * share - 1e-9))
        return max(1, math.ceil(self.demand * share / (self.per_replica * utilisation) - 1e-9))

    def wanted(self, share: float) -> int:
        """Return the replicas a candidate gets for a share: in proportion, and enough for the demand."""
        whole = self.candidate_whole or self.stable_replicas
        proportional = max(1, math.ceil(whole * share - 1e-9))
        return max(proportional, self.needed(share, self.utilisation))


def plan_rollout(ground: Ground, policy: RolloutSpec) -> RolloutPlan:
    """Return the schedule of a rollout, an exchange in place where there is no room, or the reason for neither."""
    return replace(_plan(ground, policy), stable_replicas=ground.stable_replicas)


def _plan(ground: Ground, policy: RolloutSpec) -> RolloutPlan:
    if ground.stable_replicas == 0:
        return _first(ground)
    if policy.strategy == "recreate":
        return _recreate(ground)
    if policy.strategy == "rolling":
        return _exchange(ground, policy, _rolling_percents(ground))
    percents = _percents(policy)
    plan = _beside(ground, policy, percents)
    if plan.refusal and policy.without_room == "swap" and policy.strategy in {"canary", "shadow"}:
        exchanged = _exchange(ground, policy, percents)
        if not exchanged.refusal:
            return exchanged
        plan = replace(plan, refusal=f"{plan.refusal}; {exchanged.refusal}")
    return plan


def _percents(policy: RolloutSpec) -> tuple[float, ...]:
    if policy.strategy == "ab":
        return (policy.percent,)
    if policy.strategy == "blue-green":
        return (100.0,)
    if policy.strategy == "shadow" and _shadow_then(policy) == "promote":
        return (100.0,)
    return policy.steps


def _shadow_then(policy: RolloutSpec) -> str:
    return policy.shadow.then if policy.shadow is not None else "canary"


def _rolling_percents(ground: Ground) -> tuple[float, ...]:
    count = min(ground.stable_replicas, _ROLLING_STEPS_MAX)
    return tuple(100 * (step + 1) / count for step in range(count))


def _first(ground: Ground) -> RolloutPlan:
    if ground.candidate_running == 0 and ground.free.holds(ground.candidate_size) < 1:
        return RolloutPlan(refusal=_no_room(ground, 1, "a first replica"))
    step = StepPlan(percent=100, candidate_replicas=1, stable_replicas=0)
    return RolloutPlan(steps=(step,), notes=("there is no earlier release to go back to",))


def _beside(ground: Ground, policy: RolloutSpec, percents: tuple[float, ...]) -> RolloutPlan:
    """Plan the candidate beside a stable release that stays whole: every rollback is instant."""
    seen = 0.0
    steps = []
    for percent in percents:
        replicas = ground.wanted(percent / 100)
        expected_s, seen = _duration(ground, policy, percent, seen)
        steps.append(
            StepPlan(
                percent=percent, candidate_replicas=replicas,
                stable_replicas=ground.stable_replicas, expected_s=expected_s,
            )
        )  # fmt: skip
    shadow = _shadow_step(ground, policy)
    most = max(step.candidate_replicas for step in (*steps, *((shadow,) if shadow else ())))
    missing = most - ground.candidate_running - ground.free.holds(ground.candidate_size)
    if missing > 0:
        what = f"{most} replicas beside the {ground.stable_replicas} that stay for a rollback"
        return RolloutPlan(refusal=_no_room(ground, most - ground.candidate_running, what))
    return RolloutPlan(steps=tuple(steps), shadow=shadow)


def _exchange(ground: Ground, policy: RolloutSpec, percents: tuple[float, ...]) -> RolloutPlan:
    """Plan an exchange in place: stable replicas make room for the candidate's, and never too early.

    While a step's replicas start, the weights are still those of the step before: so the stable replicas
    that stay must carry what the step before leaves to them. Steps are added where that needs it.
    """
    steps: list[StepPlan] = []
    before = 0.0
    for percent in percents:
        while before < percent:
            step = _exchanged(ground, before, percent)
            if step.percent <= before or len(steps) >= _EXCHANGES_MAX:
                return RolloutPlan(refusal=_no_exchange(ground, before))
            steps.append(step)
            before = step.percent
    seen = 0.0
    timed = []
    for step in steps:
        expected_s, seen = _duration(ground, policy, step.percent, seen)
        timed.append(replace(step, expected_s=expected_s))
    shadow = _shadow_step(ground, policy)
    if shadow is not None:
        first = steps[0]
        shadow = replace(
            shadow, candidate_replicas=min(shadow.candidate_replicas, first.candidate_replicas),
            stable_replicas=first.stable_replicas,
        )  # fmt: skip
    slow = [step for step in steps if step.rollback_s > 0]
    notes = ["replicas are exchanged in place"]
    if slow:
        notes.append(
            f"from {slow[0].percent:g} % on a rollback takes about {slow[0].rollback_s:.0f} s,"
            " until stopped replicas are back"
        )
    return RolloutPlan(
        steps=tuple(timed), shadow=shadow, is_swap=True, notes=tuple(notes),
        candidate_replicas=ground.wanted(1.0), fits_beside=_fits_beside(ground, ground.wanted(1.0)),
    )  # fmt: skip


def _fits_beside(ground: Ground, wanted: int) -> bool:
    return _room_beside(ground, ground.stable_replicas) >= wanted


def _exchanged(ground: Ground, before: float, percent: float) -> StepPlan:
    """Return the step to ``percent``, or as far towards it as there is room for."""
    wanted = ground.wanted(percent / 100)
    total = ground.stable_replicas
    stays = min(total, ground.needed(1 - before / 100, _FULL)) if before < 100 else 0
    stable, room = total, _room_beside(ground, total)
    while room < wanted and stable > stays:
        stable -= 1
        room = _room_beside(ground, stable)
    if room < wanted:
        if room < ground.needed(percent / 100, _FULL):
            percent = min(percent, math.floor(100 * room / ground.wanted(1.0)))
        wanted = room
    instant = stable >= (ground.needed(1.0, _FULL) if ground.per_replica > 0 else total)
    return StepPlan(
        percent=percent, candidate_replicas=wanted, stable_replicas=stable,
        rollback_s=0.0 if instant else ground.start_s,
    )  # fmt: skip


def _room_beside(ground: Ground, stable: int) -> int:
    """Return how many replicas of the candidate fit beside so many stable ones."""
    freed = ground.free.plus(ground.stable_size, ground.stable_replicas - stable)
    return ground.candidate_running + freed.holds(ground.candidate_size)


def _no_exchange(ground: Ground, before: float) -> str:
    total = ground.stable_replicas
    if before > 0:
        return f"an exchange in place gets stuck at {before:g} %: the candidate's replicas are too large"
    why = (
        f"{total - 1} of {total} replicas cannot carry the demand of {ground.demand:.3g}"
        if ground.per_replica > 0
        else f"it is not known that {total - 1} of {total} replicas carry the demand"
    )
    return (
        f"an exchange in place would stop a replica first, and {why}: free room for one more,"
        f" or use strategy recreate (about {ground.start_s:.0f} s without answers)"
    )


def _recreate(ground: Ground) -> RolloutPlan:
    wanted = ground.wanted(1.0)
    freed = ground.free.plus(ground.stable_size, ground.stable_replicas)
    if freed.holds(ground.candidate_size) < wanted:
        return RolloutPlan(
            refusal=_no_room(ground, wanted, "itself, even with the old one stopped")
        )
    step = StepPlan(
        percent=100, candidate_replicas=wanted, stable_replicas=0,
        rollback_s=ground.start_s, expected_s=ground.start_s,
    )  # fmt: skip
    return RolloutPlan(
        steps=(step,), is_swap=True, fits_beside=_fits_beside(ground, wanted),
        notes=(f"nothing answers for about {ground.start_s:.0f} s, and as long again for a rollback",),
    )  # fmt: skip


def _shadow_step(ground: Ground, policy: RolloutSpec) -> StepPlan | None:
    if policy.strategy != "shadow" and policy.shadow is None:
        return None
    percent = policy.shadow.percent if policy.shadow is not None else 10.0
    expected_s, _ = _duration(ground, policy, percent, 0.0)
    return StepPlan(
        percent=percent, candidate_replicas=ground.wanted(percent / 100),
        stable_replicas=ground.stable_replicas, expected_s=expected_s,
    )  # fmt: skip


def _duration(
    ground: Ground, policy: RolloutSpec, percent: float, seen: float
) -> tuple[float, float]:
    """Return how long a step should take, and the candidate's requests after it; evidence adds up over steps."""
    if percent >= 100:
        return policy.bake_s, seen
    rate = ground.rate_per_s * percent / 100
    if rate <= 0:
        return policy.patience_s, seen
    needed = max(float(policy.step_requests), ground.requests_to_decide - seen)
    duration_s = min(max(policy.step_s, needed / rate), policy.patience_s)
    return duration_s, seen + duration_s * rate


def _no_room(ground: Ground, count: int, what: str) -> str:
    one, free = ground.candidate_size, ground.free
    shortages = []
    if one.gpu and free.gpu < one.gpu * count:
        shortages.append(f"{one.gpu * count} GPUs are needed and {free.gpu} are free")
    if free.memory_bytes < one.memory_bytes * count:
        shortages.append(
            f"{one.memory_bytes * count / 2**30:.3g} GiB of memory are needed"
            f" and {free.memory_bytes / 2**30:.3g} are free"
        )
    if free.cpu < one.cpu * count - 1e-9:
        shortages.append(f"{one.cpu * count:g} CPUs are needed and {free.cpu:g} are free")
    return f"there is no room for {what}: {', '.join(shortages) or 'it is too large'}"
