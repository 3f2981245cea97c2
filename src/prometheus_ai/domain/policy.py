"""How a backend changes and scales: the ``rollout:`` and ``scaling:`` sections of a spec."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Strategy = Literal["canary", "ab", "blue-green", "shadow", "recreate", "rolling"]
LowTraffic = Literal["wait", "widen", "shadow", "replay", "ask"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, strict=False)


class RatioGate(_Frozen):
    """Compares how often something bad happens, as a ratio of candidate to baseline."""

    tolerated: float = Field(
        default=1.1, ge=1, le=10, description="A ratio up to this is no reason to fail."
    )
    harmful: float = Field(
        default=2.0, gt=1, le=100, description="To pass, a ratio of this or more must be ruled out."
    )
    negligible: float = Field(
        default=0.005, ge=0, lt=1,
        description="A candidate's rate proven below this passes, however rare the baseline's is.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.harmful <= self.tolerated:
            raise ValueError("harmful must be larger than tolerated")
        return self


class ErrorGate(RatioGate):
    """Failed answers."""

    ceiling: float = Field(
        default=0.2, gt=0, lt=1,
        description="An error rate proven above this fails, whatever the baseline does.",
    )  # fmt: skip


class LatencyGate(RatioGate):
    """Slow answers, counted above thresholds that are fixed before the rollout."""

    slo_ms: float | None = Field(
        default=None, gt=0, le=86_400_000,
        description="Slower than this is slow; the baseline's own p95 and p99 are used beside it.",
    )  # fmt: skip
    floor_ms: float = Field(
        default=0.0, ge=0, le=86_400_000,
        description="Quicker than this is never slow, however quick the baseline is.",
    )  # fmt: skip


class AccuracyGate(_Frozen):
    """Wrong answers, once their labels are posted."""

    tolerated: float = Field(
        default=0.02, ge=0, lt=1, description="Loss of accuracy that is no reason to fail, in 0..1."
    )
    harmful: float = Field(
        default=0.1, gt=0, le=1, description="To pass, a loss of this or more must be ruled out."
    )
    required: bool = Field(
        default=False, description="Without labels there is no PASS; otherwise it only can fail."
    )

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.harmful <= self.tolerated:
            raise ValueError("harmful must be larger than tolerated")
        return self


class AgreementGate(_Frozen):
    """Shadow answers compared with those that users got."""

    compare: Literal["exact", "numeric", "label"] = Field(
        default="numeric", description="What counts as the same answer."
    )
    tolerance: float = Field(
        default=1e-3, ge=0, description="Relative and absolute difference that counts as equal."
    )
    tolerated: float = Field(
        default=0.02,
        gt=0,
        lt=1,
        description="A share of different answers proven above this fails.",
    )
    harmful: float = Field(
        default=0.05, gt=0, le=1, description="To pass, a share of this or more must be ruled out."
    )

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.harmful <= self.tolerated:
            raise ValueError("harmful must be larger than tolerated")
        return self


class OutputsGate(_Frozen):
    """How the distribution of answers may differ."""

    distance: float = Field(
        default=0.25, gt=0, description="Population stability index, bias removed, that fails."
    )


class MeanGate(_Frozen):
    """Compares a mean, such as time to first token, tokens per second or cost per request."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,63}$",
        description="The quantity, as measured: such as `ttft_s`, `tokens_per_s`, `cost_per_1k`.",
    )
    worse: Literal["higher", "lower"] = Field(
        default="higher", description="In which direction it gets worse."
    )
    tolerated: float = Field(
        default=0.05, ge=0, lt=10, description="Relative change that is no reason to fail."
    )
    harmful: float = Field(
        default=0.25,
        gt=0,
        lt=10,
        description="To pass, a change of this or more must be ruled out.",
    )

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.harmful <= self.tolerated:
            raise ValueError("harmful must be larger than tolerated")
        return self


class MetricGate(_Frozen):
    """An own metric with bounds, asked of the Prometheus that the installation names."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,63}$",
        description="What to call it in verdicts.",
        examples=["basket_value"],
    )
    query: str = Field(
        min_length=1,
        max_length=4096,
        description="PromQL that gives one number; `$backend`, `$candidate` and `$stable` are filled in.",
        examples=['sum(rate(refused_total{release="$candidate"}[1m]))'],
    )
    max: float | None = Field(default=None, description="More than this is out of bounds.")
    min: float | None = Field(default=None, description="Less than this is out of bounds.")
    failures: int = Field(
        default=3, ge=1, le=100,
        description="Readings out of bounds in a row that fail; one is taken every ten seconds.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.max is None and self.min is None:
            raise ValueError("needs max, min or both")
        if self.max is not None and self.min is not None and self.max < self.min:
            raise ValueError(f"max ({self.max:g}) is smaller than min ({self.min:g})")
        return self

    @property
    def in_words(self) -> str:
        """The bounds as people say them."""
        if self.min is None:
            return f"up to {self.max:g}"
        return f"{self.min:g} and more" if self.max is None else f"{self.min:g} to {self.max:g}"

    def allows(self, value: float) -> bool:
        """Whether a value is within bounds."""
        return (self.max is None or value <= self.max) and (self.min is None or value >= self.min)

    def filled(self, backend: str, candidate: str, stable: str) -> str:
        """Return the query for two releases of a backend."""
        query = self.query.replace("$backend", backend).replace("$candidate", candidate)
        return query.replace("$stable", stable)


class TripwireSpec(_Frozen):
    """What rolls back at once, without statistics."""

    failures_in_row: int = Field(
        default=3, ge=2, le=1000,
        description="Failures in a row; more are needed where the baseline itself fails often.",
    )  # fmt: skip
    first_requests: int = Field(
        default=10, ge=1, le=10_000, description="No success among this many first requests."
    )
    crashes: int = Field(
        default=3, ge=1, le=100, description="Replicas that end by themselves within `crash_s`."
    )
    crash_s: float = Field(default=60, gt=0, le=3600, description="The span for `crashes`.")


class GatesSpec(_Frozen):
    """What a candidate is judged by."""

    alpha: float = Field(
        default=0.05, gt=0, le=0.5,
        description="Chance of ever failing a harmless candidate, over all gates and looks.",
    )  # fmt: skip
    beta: float = Field(
        default=0.05, gt=0, le=0.5, description="Chance of ever passing a harmful candidate."
    )
    errors: ErrorGate = Field(
        default=ErrorGate(), description="Failed answers, compared with the old release's."
    )
    latency: LatencyGate = Field(
        default=LatencyGate(), description="Slow answers, compared with the old release's."
    )
    accuracy: AccuracyGate | None = Field(
        default=AccuracyGate(), description="Judged only where labels are posted."
    )
    agreement: AgreementGate | None = Field(
        default=None, description="Judged only where shadow answers are compared."
    )
    outputs: OutputsGate | None = Field(
        default=None, description="Judged only where answers are counted."
    )
    means: tuple[MeanGate, ...] = Field(
        default=(), max_length=8, description="Means of own metrics that may not get worse."
    )
    metrics: tuple[MetricGate, ...] = Field(
        default=(), max_length=8, description="Numbers from your own Prometheus, with bounds."
    )
    warm_up_s: float = Field(
        default=5, ge=0, le=3600,
        description="What a replica does this soon after it became ready judges nobody.",
    )  # fmt: skip
    tripwire: TripwireSpec = Field(
        default=TripwireSpec(), description="What takes all traffic back at once."
    )

    @property
    def minor_gates(self) -> int:
        """How many gates share what errors, latency and accuracy leave of ``alpha``: ceiling, bake, and more."""
        return (
            3 + sum(gate is not None for gate in (self.agreement, self.outputs)) + len(self.means)
        )


class ShadowSpec(_Frozen):
    """Mirrored traffic that users never see the answers of."""

    percent: float = Field(default=10, gt=0, le=100, description="Share of requests to mirror.")
    then: Literal["canary", "promote", "stop"] = Field(
        default="canary", description="What follows a PASS."
    )


class RolloutSpec(_Frozen):
    """How a new release takes over from the one before."""

    strategy: Strategy = Field(default="canary", description="How traffic moves.")
    steps: tuple[float, ...] = Field(
        default=(5, 10, 25, 50, 100), min_length=1, max_length=20,
        description="Canary: percent of traffic at each step; grows, and ends at 100.",
    )  # fmt: skip
    shadow: ShadowSpec | None = Field(
        default=None, description="Mirror traffic before the first step; default for `shadow`."
    )
    percent: float = Field(default=50, gt=0, lt=100, description="`ab`: the candidate's share.")
    step_s: float = Field(
        default=60, ge=0, le=604_800, description="Shortest time on a step, even with a PASS."
    )
    step_requests: int = Field(
        default=50, ge=0, le=10_000_000,
        description="Fewest requests that the candidate answers on each step.",
    )  # fmt: skip
    patience_s: float = Field(
        default=1800, gt=0, le=2_592_000,
        description="Longest without a verdict on one step; then `low_traffic` says what to do.",
    )  # fmt: skip
    low_traffic: LowTraffic = Field(
        default="ask",
        description="When a verdict does not come: wait for it, widen the step, mirror or replay traffic, or ask.",
    )  # fmt: skip
    waits_max: int = Field(
        default=8, ge=1, le=1000,
        description="How many more patiences to wait, or to pause for a person, before rolling back.",
    )  # fmt: skip
    on_fail: Literal["rollback", "pause"] = Field(
        default="rollback", description="What a FAIL does; a tripwire always rolls back."
    )
    bake_s: float = Field(
        default=600, ge=0, le=604_800,
        description="How long the old release stays able to take all traffic after the last step.",
    )  # fmt: skip
    ready_s: float = Field(
        default=600, gt=0, le=86_400,
        description="Longest to wait for the replicas that a step needs, before rolling back.",
    )  # fmt: skip
    without_room: Literal["swap", "refuse"] = Field(
        default="swap",
        description="With no room for extra replicas: swap them one by one where that is safe, or refuse.",
    )  # fmt: skip
    gates: GatesSpec = Field(default=GatesSpec(), description="The evidence that decides.")

    @model_validator(mode="after")
    def _steps_grow(self) -> Self:
        if any(not 0 < step <= 100 for step in self.steps):
            raise ValueError("steps are percentages above 0 and up to 100")
        if any(
            later <= earlier for earlier, later in zip(self.steps, self.steps[1:], strict=False)
        ):
            raise ValueError("steps must grow: each larger than the one before")
        if self.steps[-1] != 100:
            raise ValueError("the last step must be 100; use strategy ab to stay on a share")
        return self


class LatencyTarget(_Frozen):
    """A latency percentile to hold."""

    percentile: Literal[50, 90, 95, 99] = Field(default=95, description="Which percentile.")
    ms: float = Field(gt=0, le=86_400_000, description="Add replicas when it is above this.")


class MetricTarget(_Frozen):
    """An own metric to hold."""

    name: str = Field(min_length=1, max_length=128, description="The metric's name.")
    query: str | None = Field(
        default=None,
        max_length=4096,
        description="PromQL that gives one number; `$backend` and `$release` are filled in.",
    )
    per_replica: float = Field(gt=0, description="The value that one replica should have.")


class ScheduledFloor(_Frozen):
    """Replicas that must be there at certain hours, UTC."""

    days: tuple[Day, ...] = Field(
        default=("mon", "tue", "wed", "thu", "fri", "sat", "sun"), description="On which days."
    )
    start: str = Field(
        pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="From this time, UTC.", examples=["07:30"]
    )
    end: str = Field(
        pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
        description="Until this time, UTC.",
        examples=["19:00"],
    )
    replicas: int = Field(ge=1, le=1000, description="Fewest replicas in that time.")


class ScalingSpec(_Frozen):
    """How many replicas a release has; each release scales by itself."""

    min: int = Field(default=1, ge=0, le=1000, description="Fewest replicas; 0 lets it sleep.")
    max: int = Field(default=10, ge=1, le=1000, description="Most replicas.")
    concurrency: float | None = Field(
        default=None, gt=0, le=100_000,
        description="Requests that one replica handles at once; measured when left out.",
    )  # fmt: skip
    utilisation: float = Field(
        default=0.7, gt=0, le=1, description="How much of its concurrency a replica should use."
    )
    queue: float | None = Field(
        default=None, gt=0, description="Waiting requests for each replica to hold."
    )
    latency: LatencyTarget | None = Field(default=None, description="A latency percentile to hold.")
    cpu: float | None = Field(default=None, gt=0, le=100, description="Percent of CPU to hold.")
    memory: float | None = Field(
        default=None, gt=0, le=100, description="Percent of memory to hold."
    )
    metrics: tuple[MetricTarget, ...] = Field(
        default=(),
        max_length=8,
        description="Own metrics that replicas follow; the largest wish wins.",
    )
    schedule: tuple[ScheduledFloor, ...] = Field(
        default=(), max_length=32, description="Times of the week with a floor of replicas."
    )
    stable_s: float = Field(
        default=60, ge=6, le=3600, description="Demand is averaged over this; see `panic_ratio`."
    )
    panic_ratio: float = Field(
        default=2.0, ge=1.1, le=10,
        description="Demand of the last tenth of `stable_s` over capacity that counts as a burst.",
    )  # fmt: skip
    down_s: float | None = Field(
        default=None, ge=0, le=86_400,
        description="A replica stays until demand has not needed it this long; from start-up time when left out.",
    )  # fmt: skip
    down_percent: float = Field(
        default=50, gt=0, le=100, description="Most replicas to take away within `stable_s`."
    )
    up_max: int = Field(
        default=1000, ge=1, le=1000, description="Most replicas to add within `stable_s`."
    )
    tolerance: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Relative deviation from a target that changes nothing.",
    )
    idle_s: float = Field(
        default=300, gt=0, le=604_800,
        description="With `min: 0`, sleep after this long without a request.",
    )  # fmt: skip
    hold_s: float = Field(
        default=30, gt=0, le=3600,
        description="With `min: 0`, how long a request waits for a release that wakes; then 503.",
    )  # fmt: skip
    stale_s: float = Field(
        default=10, gt=0, le=3600, description="Older measurements count as missing."
    )
    missing_s: float = Field(
        default=120, gt=0, le=86_400,
        description="Missing this long, `missing_replicas` are kept at least.",
    )  # fmt: skip
    missing_replicas: int | None = Field(
        default=None, ge=1, le=1000,
        description="Replicas to run at least while measurements are missing; as they are when left out.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"max ({self.max}) is smaller than min ({self.min})")
        return self
