"""A rollout: the plan that a candidate follows, where it stands, and what people may ask of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from prometheus_ai.domain.evidence import Verdict
from prometheus_ai.domain.policy import Strategy
from prometheus_ai.domain.route import Weights


class RolloutPhase(StrEnum):
    """Where a rollout stands."""

    SHADOWING = "shadowing"
    """The candidate answers copies of requests that nobody waits for."""
    STEPPING = "stepping"
    BAKING = "baking"
    """The candidate has all traffic; the old release can still take it back."""
    ROLLING_BACK = "rolling_back"
    """The old release has to start before it can take its traffic back."""
    DONE = "done"
    ROLLED_BACK = "rolled_back"


ENDED = frozenset({RolloutPhase.DONE, RolloutPhase.ROLLED_BACK})


class Command(StrEnum):
    """What a person may ask of a rollout at any point."""

    PAUSE = "pause"
    RESUME = "resume"
    SKIP = "skip"
    """Go on to the next step without a verdict; readiness is still waited for."""
    PROMOTE = "promote"
    """Go straight to all traffic; readiness is still waited for."""
    ROLLBACK = "rollback"
    ABORT = "abort"
    """The same as rollback, said of a rollout that nobody wants any more."""


class Act(StrEnum):
    """What one decision did."""

    HOLD = "hold"
    ADVANCE = "advance"
    WIDEN = "widen"
    """A larger share without a verdict, because traffic is low and the policy says so."""
    MIRROR = "mirror"
    """Mirror more requests, because traffic is low and the policy says so."""
    REPLAY = "replay"
    """Send kept requests again to both releases, because traffic is low and the policy says so."""
    PAUSE = "pause"
    RESUME = "resume"
    RETREAT = "retreat"
    """No replica of the candidate is ready: its traffic goes back until one is."""
    ROLLBACK = "rollback"
    FINISH = "finish"


@dataclass(frozen=True, kw_only=True, slots=True)
class StepPlan:
    """One planned step, checked against the room there is."""

    percent: float
    candidate_replicas: int
    stable_replicas: int
    rollback_s: float = 0.0
    """Until the old release could take everything back; 0 is at once."""
    expected_s: float = 0.0
    """How long the step should take at the present traffic."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutPlan:
    """The schedule of a rollout, or why there can be none."""

    steps: tuple[StepPlan, ...] = ()
    shadow: StepPlan | None = None
    stable_replicas: int = 0
    """What the old release had at the start, and gets back in a rollback."""
    candidate_replicas: int = 0
    """What the candidate has once the old release is gone; 0: what the last step gives it."""
    is_swap: bool = False
    """Replicas are exchanged in place, because there is no room beside them."""
    fits_beside: bool = True
    """Whether all replicas of the last step fit beside all that the old release had."""
    refusal: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutState:
    """Everything that a rollout remembers between decisions."""

    candidate: str
    stable: str | None
    strategy: Strategy
    plan: RolloutPlan
    phase: RolloutPhase
    started_at: datetime
    phase_since: datetime
    """When the present step, or the bake, was entered."""
    given_at: datetime | None = None
    """When the present step's traffic was given; None while its replicas are waited for."""
    step: int = 0
    weight: float = 0.0
    """Percent of traffic that the candidate has now."""
    mirror: float = 0.0
    """Percent of requests mirrored to it now."""
    replays: bool = False
    """Kept requests are sent again to both releases, until the rollout bakes or ends."""
    waits: int = 0
    retreats: int = 0
    paused_since: datetime | None = None
    asks: bool = False
    """A person was asked, because no verdict came."""
    skips: bool = False
    """A person said to go on without a verdict."""
    hurries: bool = False
    """A person said to go to the end; where replicas are exchanged, every step on the way is still taken."""
    reason: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in ENDED


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutFacts:
    """What a decision looks at."""

    candidate_ready: int
    """Replicas that are ready and warm."""
    stable_ready: int
    verdict: Verdict | None = None
    failure: str = ""
    """Why the candidate will never be ready; empty while it may be."""
    command: Command | None = None
    kept: int = 0
    """Kept requests that were not replayed yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutDecision:
    """What to do now, and the state to remember."""

    state: RolloutState
    act: Act
    reason: str
    weights: Weights
    """In basis points, over candidate and stable."""
    replicas: tuple[tuple[str, int], ...]
    """The fewest replicas that each version must keep or get; autoscaling may only add to them."""
    starts_step: bool = False
    """Evidence of harm is to be looked for afresh from here on."""
    look_again_at: datetime | None = None
