"""What every use case works with: the ports, and the little that lives only in memory."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_ai.audit import Checkpoint, VerificationReport
from prometheus_ai.domain.cold_start import ColdStart
from prometheus_ai.domain.errors import NotFound, Unsupported
from prometheus_ai.domain.evidence import Arm
from prometheus_ai.domain.gate import ModelScan
from prometheus_ai.domain.replica import Exit, Observed
from prometheus_ai.domain.route import BackendRoute, GatewayStatus, Receipt
from prometheus_ai.domain.spec import ResourcesSpec
from prometheus_ai.domain.target import TargetRecord
from prometheus_ai.ports.activator import Activator
from prometheus_ai.ports.advisories import AdvisoryDatabase
from prometheus_ai.ports.answer_log import AnswerLog
from prometheus_ai.ports.artefact_store import ArtefactStore
from prometheus_ai.ports.clock import Clock
from prometheus_ai.ports.driver import Driver
from prometheus_ai.ports.environment import EnvironmentResolver, RuntimeWheels
from prometheus_ai.ports.image_builder import ImageBuilder
from prometheus_ai.ports.image_scanner import ImageScanner
from prometheus_ai.ports.metric_query import MetricQuery
from prometheus_ai.ports.metric_source import MetricSource
from prometheus_ai.ports.model_inspector import ModelInspector
from prometheus_ai.ports.model_scanner import ModelScanner
from prometheus_ai.ports.notices import Notices
from prometheus_ai.ports.profiles import ProfileSource
from prometheus_ai.ports.replica_reader import ReplicaReader
from prometheus_ai.ports.route_table import RouteTablePort
from prometheus_ai.ports.sealed_bundle import BundleFormat
from prometheus_ai.ports.second_opinion import SecondOpinion
from prometheus_ai.ports.secret_source import SecretSource
from prometheus_ai.ports.signatures import SignatureVerifier
from prometheus_ai.ports.state_store import StateStore
from prometheus_ai.ports.target_opener import OpenedTarget, TargetOpener

PROGRESS_LINES_MAX = 200


@dataclass(kw_only=True)
class Routing:
    """What the gateway was last given. Guarded by the plane's lock."""

    routes: dict[str, BackendRoute] = field(default_factory=dict)
    receipt: Receipt | None = None
    """The gateway's answer to the last table; None until one was answered in this process."""
    active: frozenset[str] = frozenset()
    """Replicas that the last accepted table sends new requests to."""
    is_dirty: bool = True
    """Whether the gateway may not have the newest routes."""
    last_error: str = ""
    generation: int = 0
    """The last table generation given out in this process."""
    generations_reserved: int = 0
    """Generations up to this one are durably ours: a flip need not wait for one more write to the disk."""
    rejected: dict[str, BackendRoute] | None = None
    """Routes that the gateway rejected; offered again only after a pause, or when they change."""
    offer_again_at: float = 0.0
    """Monotonic time of that."""


@dataclass(kw_only=True)
class Work:
    """Long work under way in this process. Guarded by its own lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    launching: set[str] = field(default_factory=set)
    preparing: set[tuple[str, str]] = field(default_factory=set)
    progress: dict[tuple[str, str], deque[str]] = field(default_factory=dict)
    failed_starts: dict[str, Exit] = field(default_factory=dict)
    """Replicas that could not be started, until their records are closed."""
    uploads: dict[str, float] = field(default_factory=dict)
    """Digest to the monotonic time at which a client last sent it or asked for it."""
    prepare_failures: dict[tuple[str, str], int] = field(default_factory=dict)

    def report(self, backend: str, version: str, line: str) -> None:
        """Keep one line of progress about a release."""
        with self.lock:
            lines = self.progress.setdefault((backend, version), deque(maxlen=PROGRESS_LINES_MAX))
            lines.append(line)

    def lines(self, backend: str, version: str) -> tuple[str, ...]:
        """Return the progress lines of a release."""
        with self.lock:
            return tuple(self.progress.get((backend, version), ()))


class NoTargets:
    """Opens nothing: a control plane with the targets that it was made with."""

    def open(self, record: TargetRecord) -> OpenedTarget:
        """Refuse."""
        raise Unsupported(f"this control plane cannot open target {record.name!r}")


@dataclass(kw_only=True)
class Gate:
    """What the supply-chain gate works with."""

    policy: Callable[[], str]
    """Reads the text of the policy file, or the default; asked before every decision."""
    models: ModelScanner
    images: ImageScanner
    advisories: AdvisoryDatabase
    signatures: SignatureVerifier
    evidence: ArtefactStore
    """Evidence and reports by digest. Never collected: old decisions are made again from it."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    scans: dict[tuple[str, str, frozenset[str]], ModelScan] = field(default_factory=dict)
    """Scans by model digest, scanner and allowed names; made again after a restart."""
    opinions: Sequence[SecondOpinion] = ()
    """Other scanners that may be installed here; those that are look into every image, too."""
    bundles: BundleFormat | None = None
    """None where no bundles are written or read."""
    signatures_added: int = 0
    """Signatures and attestations that came in this process: what runs is judged again then."""
    flags: dict[tuple[str, str], str] = field(default_factory=dict)
    """What speaks against releases that run, by backend and version; judged again after a restart."""


@dataclass(kw_only=True)
class Told:
    """What replicas of one backend told since its rollout last looked."""

    arms: dict[str, Arm] = field(default_factory=dict)
    """By version: labels, outputs, quantities and tallies; requests and latency are the gateway's to say."""
    compared: int = 0
    disagreed: int = 0


@dataclass(kw_only=True)
class ReplayedPairs:
    """What both releases of one rollout answered to replayed requests since it last looked."""

    candidate: str
    last: int = 0
    """The number of the last kept request that was sent."""
    arms: dict[str, Arm] = field(default_factory=dict)
    sent: int = 0
    compared: int = 0
    disagreed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """What an hour of each resource costs; only their proportions matter to a comparison."""

    cpu_hour: float = 0.04
    gib_hour: float = 0.005
    gpu_hour: float = 2.0

    def of(self, size: ResourcesSpec, seconds: float) -> float:
        """Return what a replica of this size costs for so many seconds."""
        hourly = (
            size.cpu * self.cpu_hour
            + size.memory_bytes / 2**30 * self.gib_hour
            + size.gpu * self.gpu_hour
        )
        return hourly * seconds / 3600


@dataclass(kw_only=True)
class Hearing:
    """What is heard from replicas directly. Guarded by its own lock."""

    log: AnswerLog
    replicas: ReplicaReader
    prices: Prices = Prices()
    lock: threading.Lock = field(default_factory=threading.Lock)
    told: dict[str, Told] = field(default_factory=dict)
    """By backend, for those with a rollout under way."""
    replays: dict[str, ReplayedPairs] = field(default_factory=dict)
    """By backend, for those whose rollout replays kept requests."""
    lost: dict[str, dict[str, int]] = field(default_factory=dict)
    """By backend and reason: how many answers were not kept or not compared, since this process began."""
    faults: dict[str, str] = field(default_factory=dict)
    """By what was tried on the log: why it fails at this moment."""
    failures: Counter[str] = field(default_factory=Counter)
    """By what was tried on the log: how often it began to fail, since this process began."""


@dataclass(kw_only=True)
class Plane:
    """The control plane's ports and memory. Use cases are functions over it."""

    store: StateStore
    artefacts: ArtefactStore
    drivers: Mapping[str, Driver]
    """By target name."""
    routes: RouteTablePort
    metrics: MetricSource
    resolver: EnvironmentResolver
    inspector: ModelInspector
    clock: Clock
    workers: ThreadPoolExecutor
    builders: Mapping[str, ImageBuilder] = field(default_factory=dict)
    """By target name, for targets that run containers."""
    profiles: ProfileSource | None = None
    """Asks replicas what they measured; None in tests that suggest nothing."""
    notices: Notices | None = None
    """Which replicas' machines go away soon; None in tests that give no notice."""
    activator: Activator | None = None
    """Who holds requests for sleeping releases; None in tests that let nothing sleep."""
    opener: TargetOpener = field(default_factory=NoTargets)
    wheels: RuntimeWheels | None = None
    """Model servers for images; None where no images are built."""
    gate: Gate | None = None
    """None in tests that gate nothing."""
    database: MetricQuery | None = None
    """Where own metrics are asked for; None where the installation names none."""
    own_metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The newest readings by backend and name; see ``rollouts.own_metrics``. Replaced whole by one loop."""
    hearing: Hearing | None = None
    """None in tests that ask no replica."""
    secrets: SecretSource | None = None
    """None in tests whose specs name no secrets."""
    gateway_url: str = ""
    checkpoint_path: Path | None = None
    """Where a copy of the audit log's head is kept outside the store; none in tests that need none."""
    audit_check: Callable[[Sequence[Checkpoint]], VerificationReport] | None = None
    """Verifies a long audit log in a process of its own; None: all are verified here."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Taken around every decision, so that decisions never interleave."""
    wake: threading.Event = field(default_factory=threading.Event)
    rollouts: dict[str, object] = field(default_factory=dict)
    """The newest rollout of each backend, ended or not; see ``rollout_memory``. Guarded by the plane's lock."""
    decided: dict[tuple[str, str, str], tuple[str, datetime]] = field(default_factory=dict)
    """What was last stored by backend, version and decider, and when; see ``decisions``. Guarded by the lock."""
    starts: dict[tuple[str, str], tuple[ColdStart, ...]] = field(default_factory=dict)
    """Remembered cold starts by release, as stored; see ``loop.starts``."""
    routing: Routing = field(default_factory=Routing)
    work: Work = field(default_factory=Work)
    last_pass_s: float = 0.0
    audit_problem: str = ""
    """Why the audit log cannot be vouched for, when it cannot."""

    def driver(self, target: str) -> Driver:
        """Return the driver of a target.

        Raises:
            NotFound: there is no such target.
        """
        driver = self.drivers.get(target)
        if driver is None:
            raise NotFound(
                f"there is no target {target!r}",
                hint=f"known targets: {', '.join(sorted(self.drivers))}",
            )
        return driver


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """What all drivers see, and which targets could not be asked."""

    observed: Mapping[str, Observed]
    unreachable: Mapping[str, str]
    """Target to reason."""
    launching: frozenset[str]
    """Replicas whose start was under way before the drivers were asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayView:
    """The gateway as last heard."""

    status: GatewayStatus
    last_error: str = ""
