"""Replicas: what is wanted, what was seen, and what to do about the difference."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class ReplicaPhase(StrEnum):
    """Where a running copy stands, as its driver sees it."""

    STARTING = "starting"
    """The process exists; the model is not loaded and warm yet."""
    READY = "ready"
    UNREADY = "unready"
    """It was ready, and now says that it is not."""
    STUCK = "stuck"
    """Its liveness says that it makes no progress."""
    DRAINING = "draining"
    EXITED = "exited"


class ReplicaGoal(StrEnum):
    """What the control plane wants of a replica."""

    RUN = "run"
    DRAIN = "drain"
    """No new requests; finish what was accepted, then stop."""
    GONE = "gone"


class ExitCause(StrEnum):
    """Why a replica ended."""

    STOPPED = "stopped"
    LOAD_FAILED = "load_failed"
    ENGINE_MISSING = "engine_missing"
    BAD_CONFIG = "bad_config"
    OUT_OF_MEMORY = "out_of_memory"
    SIGNAL = "signal"
    CRASH = "crash"
    STARTUP_TIMEOUT = "startup_timeout"
    STUCK = "stuck"
    LOST = "lost"
    """It vanished and left no record: the machine restarted, or its supervisor was killed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exit:
    """How a replica ended, with the evidence."""

    cause: ExitCause
    code: int | None = None
    signal: str | None = None
    message: str = ""
    last_log: tuple[str, ...] = ()
    at: datetime

    @property
    def is_failure(self) -> bool:
        """Whether it ended without being asked to."""
        return self.cause is not ExitCause.STOPPED


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where a replica answers."""

    host: str
    port: int
    grpc_port: int | None = None
    """Where it answers gRPC; None where it does not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicaRecord:
    """The control plane's own record of a replica: written before it starts, closed after it ends."""

    id: str
    backend: str
    version: str
    target: str
    goal: ReplicaGoal
    created_at: datetime
    ready_at: datetime | None = None
    ended_at: datetime | None = None
    drain_since: datetime | None = None
    reason: str = ""
    stop_cause: ExitCause | None = None
    """Why the control plane ended it, when it did; the driver then only sees a stop."""
    exit: Exit | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self.ended_at is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """What a driver sees of one replica now."""

    id: str
    backend: str
    version: str
    phase: ReplicaPhase
    endpoint: Endpoint | None = None
    pid: int | None = None
    started_at: datetime
    exit: Exit | None = None
    requests_active: int | None = None
    """Requests inside it, when known."""
    detail: str = ""
    """Its own words about what it is doing, such as ``loading``."""
    phases_s: Mapping[str, float] = field(default_factory=dict)
    """How long each phase of its start took, as its server says: ``import``, ``load``, ``warm_up``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicaUsage:
    """One reading of a replica, with all processes that it started."""

    at_s: float
    """Monotonic time of the reading, on the reader's clock."""
    cpu_s: float
    """CPU time used since it started."""
    memory_bytes: int
    """What counts against its limit."""


def cpu_share(before: ReplicaUsage, now: ReplicaUsage) -> float | None:
    """Return the cores used between two readings; None where they tell nothing."""
    span_s = now.at_s - before.at_s
    # Less CPU time than before: the process was replaced under the same id.
    if span_s <= 0 or now.cpu_s < before.cpu_s:
        return None
    return (now.cpu_s - before.cpu_s) / span_s


@dataclass(frozen=True, kw_only=True, slots=True)
class StartReplica:
    """Start one more replica of a release."""

    backend: str
    version: str
    target: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DrainReplica:
    """Take a replica out of the routes, and let it finish."""

    id: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StopReplica:
    """End a replica; ``grace_s`` bounds its own drain."""

    id: str
    target: str
    grace_s: float
    reason: str
    cause: ExitCause = ExitCause.STOPPED


@dataclass(frozen=True, kw_only=True, slots=True)
class CloseRecord:
    """The replica is gone: write down how it ended and let its driver forget it."""

    id: str
    target: str
    exit: Exit


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkReady:
    """A replica became ready for the first time."""

    id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EndStray:
    """A replica runs that has no record: nobody wants it."""

    id: str
    target: str


Action = StartReplica | DrainReplica | StopReplica | CloseRecord | MarkReady | EndStray
