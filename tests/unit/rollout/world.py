"""A small world in which rollouts run: replicas start as the decider asks, verdicts come from a script."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from prometheus_ai.domain.evidence import Comparison, Outcome, Verdict
from prometheus_ai.domain.policy import RolloutSpec
from prometheus_ai.domain.rollout import Command, RolloutDecision, RolloutFacts, RolloutState
from prometheus_ai.rollout import Ground, Room, begin, next_step, plan_rollout

START = datetime(2026, 1, 1, tzinfo=UTC)
ONE = Room(cpu=1, memory_bytes=2**30)
PLENTY = Room(cpu=64, memory_bytes=64 * 2**30, gpu=8)


def ground(**values: object) -> Ground:
    given = {
        "stable_replicas": 4,
        "stable_size": ONE,
        "candidate_size": ONE,
        "free": PLENTY,
        **values,
    }
    return Ground(**given)  # type: ignore[arg-type]


def verdict(outcome: Outcome | None, *, at_once: bool = False) -> Verdict | None:
    if outcome is None:
        return None
    seen = Comparison(candidate="v2", baseline="v1", step_requests=1000, candidate_requests=1000)
    return Verdict(
        outcome=outcome, reason="measured", at=START, acts_at_once=at_once, comparison=seen
    )


def begun(policy: RolloutSpec, given: Ground | None = None) -> RolloutState:
    plan = plan_rollout(given or ground(), policy)
    assert not plan.refusal, plan.refusal
    return begin("v2", "v1", plan, policy, START)


@dataclass
class World:
    policy: RolloutSpec
    state: RolloutState
    now: datetime = START
    ready: dict[str, int] = field(default_factory=lambda: {"v1": 4, "v2": 0})
    decisions: list[RolloutDecision] = field(default_factory=list)
    kept: int = 0
    """Kept requests that were not replayed yet."""

    def turn(
        self,
        outcome: Outcome | None = None,
        command: Command | None = None,
        *,
        seconds: float = 10,
        starts: bool = True,
        at_once: bool = False,
        failure: str = "",
    ) -> RolloutDecision:
        """Let time pass, decide, and let replicas follow."""
        self.now += timedelta(seconds=seconds)
        facts = RolloutFacts(
            candidate_ready=self.ready["v2"], stable_ready=self.ready["v1"],
            verdict=verdict(outcome, at_once=at_once), failure=failure, command=command,
            kept=self.kept,
        )  # fmt: skip
        made = next_step(self.state, facts, self.policy, self.now)
        self.state = made.state
        self.decisions.append(made)
        if starts:
            self.ready.update(made.replicas)
        return made

    def until_end(self, outcome: Outcome | None, turns: int = 2000, seconds: float = 60) -> int:
        for turn in range(turns):
            if self.state.has_ended:
                return turn
            self.turn(outcome, seconds=seconds)
        return turns
