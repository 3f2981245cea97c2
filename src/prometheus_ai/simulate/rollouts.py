"""A rollout on a virtual clock: two releases with known behaviour, judged by the production deciders."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from prometheus_ai.analysis import begin_evidence, compare, observe, start_step
from prometheus_ai.domain.evidence import Arm, Interval, Outcome, Verdict
from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.rollout import (
    Act,
    RolloutDecision,
    RolloutFacts,
    RolloutPhase,
    RolloutState,
)
from prometheus_ai.domain.window import Histogram, bucket_index
from prometheus_ai.rollout import Ground, begin, judge, next_step, plan_rollout

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_HISTORY_REQUESTS = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Behaviour:
    """How a release really behaves."""

    error_rate: float = 0.0
    latency_s: float = 0.02
    """The median."""
    latency_spread: float = 0.5
    """Standard deviation of the logarithm."""
    wrong_rate: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """What a rollout is simulated with."""

    stable: Behaviour
    candidate: Behaviour
    ground: Ground
    """Its ``rate_per_s`` is the traffic, and its ``start_s`` the time a replica takes."""
    labelled: float = 0.0
    """The share of answers whose labels arrive."""
    tick_s: float = 1.0
    seed: int = 0
    longest_s: float = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RolledOut:
    """What a simulated rollout came to."""

    phase: RolloutPhase | None
    """None when the plan was refused, or time ran out."""
    reason: str
    took_s: float
    candidate_requests: int
    harmed: int
    """Requests that failed because the candidate got them."""
    first_verdict_s: float | None
    """When the first PASS or FAIL was reached."""
    moves: tuple[tuple[float, Act, float, str], ...] = field(default=())
    """Seconds, act, percent of traffic, reason; without holds."""


def simulate_rollout(stage: Stage, policy: RolloutSpec) -> RolledOut:
    """Play one rollout to its end. The same arguments give the same result."""
    plan = plan_rollout(stage.ground, policy)
    if plan.refusal:
        return RolledOut(
            phase=None, reason=plan.refusal, took_s=0.0, candidate_requests=0, harmed=0,
            first_verdict_s=None,
        )  # fmt: skip
    return _Play(stage, policy).run(begin("candidate", "stable", plan, policy, _EPOCH))


class _Play:
    """The running state of one simulated rollout."""

    def __init__(self, stage: Stage, policy: RolloutSpec) -> None:
        self._stage, self._policy = stage, policy
        self._chance = random.Random(stage.seed)
        history = self._arm(stage.stable, _HISTORY_REQUESTS)
        self._evidence = begin_evidence("candidate", "stable", policy.gates, history)
        self._ready_at: list[float] = []
        self._seen = self._harmed = 0
        self._first_verdict_s: float | None = None
        self._moves: list[tuple[float, Act, float, str]] = []

    def run(self, state: RolloutState) -> RolledOut:
        """Tick until the rollout has ended."""
        at_s = 0.0
        while at_s < self._stage.longest_s:
            at_s += self._stage.tick_s
            verdict = self._measure(at_s, state.weight, state.mirror)
            facts = RolloutFacts(
                candidate_ready=sum(ready <= at_s for ready in self._ready_at),
                stable_ready=self._stage.ground.stable_replicas,
                verdict=verdict,
            )
            made = next_step(state, facts, self._policy, _now(at_s))
            state = made.state
            self._follow(made, at_s)
            if state.has_ended:
                return self._result(made, at_s)
        return RolledOut(
            phase=None, reason="time ran out", took_s=at_s, candidate_requests=self._seen,
            harmed=self._harmed, first_verdict_s=self._first_verdict_s, moves=tuple(self._moves),
        )  # fmt: skip

    def _measure(self, at_s: float, weight: float, mirror: float) -> Verdict:
        stage = self._stage
        came = self._count(stage.ground.rate_per_s * stage.tick_s)
        routed = self._chosen(came, weight / 100)
        mirrored = self._chosen(came - routed, mirror / 100)
        ours = self._arm(stage.candidate, routed + mirrored)
        theirs = self._arm(stage.stable, came - routed)
        self._seen += ours.requests
        self._harmed += round(ours.errors * routed / ours.requests) if ours.requests else 0
        interval = Interval(
            start=_now(at_s - stage.tick_s), end=_now(at_s), candidate=ours, baseline=theirs,
            weight=0.0 if mirror else weight / 100, compared=mirrored,
            disagreed=self._chosen(mirrored, stage.candidate.wrong_rate),
        )  # fmt: skip
        gates = self._policy.gates
        self._evidence = observe(self._evidence, interval, gates)
        verdict = judge(compare(self._evidence, gates, _now(at_s)), self._policy, _now(at_s))
        if verdict.outcome is not Outcome.INSUFFICIENT and self._first_verdict_s is None:
            self._first_verdict_s = at_s
        return verdict

    def _follow(self, made: RolloutDecision, at_s: float) -> None:
        """Let replicas start as the decision asks, and remember what it did."""
        wanted = dict(made.replicas).get("candidate", 0)
        while len(self._ready_at) < wanted:
            self._ready_at.append(at_s + self._stage.ground.start_s)
        if made.starts_step:
            self._evidence = start_step(self._evidence)
        if made.act is not Act.HOLD:
            self._moves.append((at_s, made.act, made.state.weight, made.reason))

    def _result(self, made: RolloutDecision, at_s: float) -> RolledOut:
        return RolledOut(
            phase=made.state.phase, reason=made.state.reason, took_s=at_s,
            candidate_requests=self._seen, harmed=self._harmed,
            first_verdict_s=self._first_verdict_s, moves=tuple(self._moves),
        )  # fmt: skip

    def _arm(self, real: Behaviour, requests: int) -> Arm:
        chance = self._chance
        buckets: dict[int, int] = {}
        total_s = 0.0
        for _ in range(requests):
            value_s = real.latency_s * chance.lognormvariate(0.0, real.latency_spread)
            total_s += value_s
            index = bucket_index(value_s)
            buckets[index] = buckets.get(index, 0) + 1
        labelled = self._chosen(requests, self._stage.labelled)
        return Arm(
            requests=requests,
            errors=self._chosen(requests, real.error_rate),
            latency_s=Histogram(count=requests, sum=total_s, buckets=buckets),
            labelled=labelled,
            wrong=self._chosen(labelled, real.wrong_rate),
        )

    def _chosen(self, count: int, share: float) -> int:
        if share <= 0 or count == 0:
            return 0
        if share >= 1:
            return count
        return sum(self._chance.random() < share for _ in range(count))

    def _count(self, mean: float) -> int:
        """Draw a Poisson count by the gaps between arrivals."""
        count, left = 0, mean
        while left > 0:
            left -= self._chance.expovariate(1.0)
            count += left > 0
        return count


def _now(at_s: float) -> datetime:
    return _EPOCH + timedelta(seconds=at_s)
