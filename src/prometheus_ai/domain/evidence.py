"""What two releases did side by side, and what is concluded from it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from prometheus_ai.domain.window import Histogram


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicaTally:
    """What one replica answered."""

    id: str
    host: str = ""
    requests: int = 0
    errors: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Moments:
    """Count, sum and sum of squares of a quantity, which merge exactly."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both samples together."""
        return Moments(
            count=self.count + other.count,
            total=self.total + other.total,
            squares=self.squares + other.squares,
        )

    @property
    def mean(self) -> float:
        """The mean; zero when empty."""
        return self.total / self.count if self.count else 0.0

    @property
    def variance(self) -> float:
        """The unbiased variance; zero below two values."""
        if self.count < 2:
            return 0.0
        return max(0.0, (self.squares - self.total**2 / self.count) / (self.count - 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One number from a metrics database, or why there is none."""

    value: float | None = None
    problem: str = ""
    """Empty, stale, ambiguous or no number; empty when there is a value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """What one release did in one interval."""

    requests: int = 0
    errors: int = 0
    """5xx answers and broken connections of the release itself."""
    client_errors: int = 0
    rejected: int = 0
    """Turned away by the gateway before reaching a replica: a matter of capacity, not of the version."""
    latency_s: Histogram = field(default_factory=Histogram)
    replicas: tuple[ReplicaTally, ...] = ()
    """By replica, where the source knows them; empty when it does not."""
    labelled: int = 0
    """Answers whose true label arrived in this interval."""
    wrong: int = 0
    outputs: tuple[tuple[str, int], ...] = ()
    """How often each label, or bin of a score, was answered."""
    quantities: tuple[tuple[str, Moments], ...] = ()
    """Means to compare, by name: time to first token, tokens per second, cost per request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """What candidate and baseline did in the same stretch of time, under one pair of weights."""

    start: datetime
    end: datetime
    candidate: Arm
    baseline: Arm
    weight: float
    """The share of traffic that the candidate should have had, from 0 to 1; shadow traffic counts as its own."""
    crashes: int = 0
    """Replicas of the candidate that ended by themselves."""
    baseline_crashes: int = 0
    """Replicas of the baseline that did."""
    compared: int = 0
    """Shadow answers that were compared with the user's."""
    disagreed: int = 0
    is_replay: bool = False
    """Kept requests were sent to both: the split was not the gateway's, so it proves nothing of it."""
    unfit: str = ""
    """Why its measurements judge nobody: warm-up, a preemption notice, a change of weights. Empty when fit."""


class Outcome(StrEnum):
    """What the evidence allows to say."""

    PASS = "pass"
    FAIL = "fail"
    INSUFFICIENT = "insufficient"


class FaultOwner(StrEnum):
    """Whose fault the failures are."""

    VERSION = "version"
    REPLICA = "replica"
    HOST = "host"
    GATEWAY = "gateway"
    """Too little capacity: requests were turned away before they reached a replica."""
    CLIENT = "client"
    NOBODY = "nobody"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribution:
    """Whose fault the failures are, and why that is believed."""

    owner: FaultOwner = FaultOwner.NOBODY
    subject: str = ""
    """The replica or host, where it is one."""
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateResult:
    """One gate: the numbers it saw, the evidence both ways, and what that allows to say."""

    gate: str
    outcome: Outcome
    candidate: float
    """The candidate's rate or mean."""
    candidate_low: float
    candidate_high: float
    """A 95 % interval of it at this look."""
    baseline: float
    candidate_count: int
    baseline_count: int
    harm: float
    """Evidence of harm over what a FAIL needs: 1 and more is a FAIL."""
    safety: float
    """Evidence of safety over what a PASS needs: 1 and more is a PASS."""
    requests_to_decide: int | None
    """More candidate requests until it decides, if things go on like this; None when that will not be."""
    decide_in_s: float | None
    detail: str = ""
    is_gating: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Candidate against baseline, all gates together."""

    candidate: str
    baseline: str
    gates: tuple[GateResult, ...] = ()
    tripped: str = ""
    """Why the tripwire acted; empty when it did not."""
    invalid: str = ""
    """Why the gates may not be trusted; empty when they may."""
    attribution: Attribution = Attribution()
    candidate_requests: int = 0
    """Requests that judge the candidate, over the whole rollout."""
    step_requests: int = 0
    """The same since the step began."""
    rate_per_s: float = 0.0
    """The candidate's requests per second lately."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What is concluded about a candidate, with everything that led to it."""

    outcome: Outcome
    reason: str
    at: datetime
    decide_in_s: float | None = None
    """Expected time until PASS or FAIL; None when it is decided, or will not be at this rate."""
    acts_at_once: bool = False
    """A tripwire acted: do not wait for the end of anything."""
    blocked_by: str = ""
    """What has to be repaired before judging goes on: a replica, a host, the sample ratio."""
    comparison: Comparison | None = None
