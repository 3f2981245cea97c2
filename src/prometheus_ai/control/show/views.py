"""What people see: answers of use cases, as plain values that the surfaces encode."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class TrafficView:
    """Traffic of one release over a span; a percentile is None when too few requests support it."""

    requests: int = 0
    errors: int = 0
    rejected: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    span_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicaView:
    """One replica as it is now, or as it ended."""

    id: str
    version: str
    phase: str
    goal: str
    target: str
    created_at: datetime
    ready_at: datetime | None = None
    endpoint: str = ""
    pid: int | None = None
    detail: str = ""
    requests_active: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StartsView:
    """What the remembered cold starts of a release came to; every item is the middle of its values."""

    count: int
    typical_s: float
    expected_s: float
    """At most this long, nine times out of ten; what a refused caller is told to wait."""
    schedule_s: float
    """Until its process or container ran: the model is verified and the gate asked."""
    environment_s: float
    """Process or container, interpreter and libraries."""
    load_s: float
    warm_up_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseView:
    """One release: what it is, where it stands, what it does."""

    backend: str
    version: str
    number: int
    digest: str
    phase: str
    engine: str
    model: str
    model_digest: str
    created_at: datetime
    created_by: str
    weight: float
    """Percent of traffic in force."""
    weight_wanted: float
    replicas_ready: int
    replicas_wanted: int
    failure: str = ""
    restarts_24h: int = 0
    """Replicas that failed in the last day."""
    starts: StartsView | None = None
    """Its cold starts, where a policy scales it and one was seen."""
    traffic: TrafficView = TrafficView()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class GateView:
    """One gate of a verdict: how far the evidence is, both ways."""

    gate: str
    outcome: str
    harm: float
    """Share of the evidence that a FAIL needs, 0 to 1."""
    safety: float
    """Share of the evidence that a PASS needs, 0 to 1."""
    candidate: float
    """The candidate's rate or mean; the baseline's follows."""
    baseline: float
    decide_in_s: float | None = None
    """Expected time until it decides at the present traffic."""
    detail: str = ""
    is_gating: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutView:
    """How a candidate is taking over, and what the evidence says."""

    candidate: str
    stable: str | None
    strategy: str
    phase: str
    steps: tuple[float, ...]
    """Percent of traffic at each step."""
    step: int
    weight: float
    """Percent of traffic that the candidate has now."""
    is_paused: bool
    verdict: str
    """``pass``, ``fail``, ``insufficient``, or empty before the first judgement."""
    reason: str
    """Why it stands where it stands: the numbers behind the verdict."""
    decide_in_s: float | None
    """Expected time until the verdict at the present traffic; None when it will not come."""
    gates: tuple[GateView, ...] = ()
    flip_ms: float | None = None
    """How long the last rehearsed rollback took to come into force; None before the first."""
    rollback_s: float = 0.0
    """Until the old release could take everything back; 0 is at once."""
    is_in_place: bool = False
    """Whether replicas are exchanged, because there is no room beside them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendSummary:
    """One backend on one line."""

    name: str
    state: str
    """``ready``, ``deploying``, ``degraded``, ``asleep``, ``waking``, ``down``, ``failed`` or ``deleting``."""
    stable: str | None
    weights: Mapping[str, float]
    """Percent in force by version."""
    weights_wanted: Mapping[str, float]
    replicas_ready: int
    replicas_wanted: int
    traffic: TrafficView = TrafficView()
    url: str = ""
    flags: tuple[str, ...] = ()
    """What the gate has against releases that run, each with its version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformStatus:
    """The whole installation."""

    version: str
    gateway_url: str
    gateway_serving: bool
    gateway_detail: str
    gateway_generation: int
    """Generation of the route table in force."""
    gateway_pid: int | None
    """The data plane's process."""
    gateway_restarts: int
    last_pass_s: float
    targets: Mapping[str, str]
    """Target name to ``ok`` or the reason why it cannot be seen."""
    audit_problem: str
    """Why the audit log cannot be vouched for; empty when it can."""
    backends: tuple[BackendSummary, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendDetail:
    """One backend with its living releases and replicas."""

    summary: BackendSummary
    releases: tuple[ReleaseView, ...]
    replicas: tuple[ReplicaView, ...]
    rollout: RolloutView | None = None
    """The rollout under way."""
    progress: tuple[str, ...] = ()
    """The newest lines of work under way for its newest release."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One way in which what runs is not what is wanted."""

    what: str
    wanted: str
    actual: str
    why: str
    next: str
    """What the platform, or you, will do about it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Why:
    """What is running, what is wanted, why they differ, and what happens next."""

    backend: str
    wanted: tuple[str, ...]
    running: tuple[str, ...]
    differences: tuple[Difference, ...]
    next: tuple[str, ...]
    recent: tuple[str, ...]
    """The newest events that led here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventView:
    """One audited fact."""

    index: int
    at: str
    kind: str
    actor: str
    backend: str | None
    version: str | None
    reason: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
