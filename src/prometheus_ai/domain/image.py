"""Images: what they are labelled with, how one is to be made, and what is known of one that was."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

LABEL_HOME = "ai.prometheus.home"
"""The installation that made it."""
LABEL_BACKEND = "ai.prometheus.backend"
LABEL_VERSION = "ai.prometheus.version"
LABEL_RELEASE = "ai.prometheus.release"
"""``backend/version@sha256:…`` of the release that an image or a container is of."""
LABEL_REPLICA = "ai.prometheus.replica"
LABEL_TARGET = "ai.prometheus.target"
LABEL_PROGRESS = "ai.prometheus.progress-s"
LABEL_GPUS = "ai.prometheus.gpus"
LABEL_LOCK = "ai.prometheus.lock"
"""Digest of the lock that an image's environment was made from."""
LABEL_MODEL = "ai.prometheus.model"
"""Digest of the model that an image or a volume is for."""
LABEL_WEIGHTS = "ai.prometheus.weights"
"""``layer`` when the model is in the image, ``mount`` when it is mounted, ``pull`` when each start fetches it."""
LABEL_PLAN = "ai.prometheus.plan"
"""Digest of everything that decides an image's content."""
LABEL_BASE_MADE = "ai.prometheus.base-made"
"""When the base image was made, in ISO 8601."""

Libc = Literal["glibc", "musl"]

EJECTED_BINARY = "data:application/octet-stream;base64,"
"""How the text of an ejected file begins that is none."""

IMAGE_EPOCH = 315_532_800
"""1980-01-01: files of ours have this time or one after it, so that equal content makes equal layers."""
IMAGE_CONTENT_SECONDS = 2**28
"""A copied file's time follows from its content, within so many seconds after ``IMAGE_EPOCH``."""

MODEL_FOLDER = "/opt/model"
"""Where a container finds its model."""
CONFIG_FILE = "/opt/pai/config.json"
HTTP_PORT = 8080
GRPC_PORT = 8081


def model_volume(home: str, digest: str) -> str:
    """Return the volume that holds a model for the replicas of an installation."""
    return f"pai-model-{digest.removeprefix('sha256:')[:32]}.{home}"


def pulled_volume(home: str, replica_id: str) -> str:
    """Return the volume that holds a model for one replica, from its start to its end."""
    return f"pai-pulled-{replica_id}.{home}"


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseImage:
    """What an image is built on."""

    reference: str
    """As it is written behind FROM: with its digest where the engine can look that up."""
    digest: str
    """Digest at its image registry, or of the image itself when it came from none."""
    size_bytes: int = 0
    made_at: str = ""
    """When it was made, in ISO 8601; empty where the engine does not know."""

    @property
    def libc(self) -> Libc:
        """Its C library as its name tells it: nothing else does before it runs."""
        return "musl" if "alpine" in self.reference.partition("@")[0] else "glibc"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage of a build, and why it is there."""

    name: str
    does: str
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildPlan:
    """Everything that decides an image. Equal plans give images of equal content."""

    tag: str
    dockerfile: str
    files: Mapping[str, str]
    """Small files of the build context, by path: locks, configuration, ignore list."""
    stages: tuple[Stage, ...]
    labels: Mapping[str, str]
    base: BaseImage
    weights: str
    """``layer``, ``mount`` or ``pull``."""
    digest: str
    """``sha256:<hex>`` over all of it and over the digests of the larger inputs."""
    notes: tuple[str, ...] = ()
    """What a reader should know: what was decided and why, and what is not reproducible."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildStep:
    """One step of a build as it went."""

    name: str
    took_s: float
    is_cached: bool


BuildEventKind = Literal["started", "bytes", "words", "cached", "done", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildEvent:
    """Something that happened while an image is built."""

    kind: BuildEventKind
    step: str
    number: int
    """The step's number in this build."""
    took_s: float = 0.0
    bytes_done: int = 0
    bytes_total: int = 0
    """0 where the total is not known."""
    words: str = ""
    """What the step itself wrote."""

    @property
    def line(self) -> str:
        """The event in words; those of one step begin alike."""
        if self.kind == "bytes":
            total = f" of {self.bytes_total / 1e6:.1f}" if self.bytes_total else ""
            return f"{self.step}: {self.bytes_done / 1e6:.1f}{total} MB"
        said = {"cached": "cached", "done": f"{self.took_s:.1f} s", "failed": "failed"}
        if self.kind in said:
            return f"{self.step} ({said[self.kind]})"
        return f"{self.step}: {self.words}" if self.words else f"{self.step} …"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLayer:
    """One layer of an image."""

    digest: str
    size_bytes: int
    made_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildRecord:
    """How a build went."""

    image: str
    """The image's id."""
    tag: str
    plan: str
    """Digest of the plan."""
    took_s: float
    steps: tuple[BuildStep, ...] = ()
    layers: tuple[ImageLayer, ...] = ()
    size_bytes: int = 0
    saved_s: float = 0.0
    """How much longer the same steps took when they were last built without cache."""
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    """One file of an image's layer."""

    path: str
    size_bytes: int
    mode: int = 0o644
    user_id: int = 0
    is_removed: bool = False
    """A whiteout: the layer hides what is below."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerFacts:
    """What one layer holds."""

    layer: ImageLayer
    files: tuple[FileEntry, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFacts:
    """What an image is, read from the engine; enough to judge it without running it."""

    image: str
    tags: tuple[str, ...]
    size_bytes: int
    user: str
    entrypoint: tuple[str, ...]
    environment: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[LayerFacts, ...] = ()
    history: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """Something said about an image, in the form in which image registries keep it."""

    tag: str
    """Empty for a referrer, which has its digest for a name."""
    manifest: bytes
    blobs: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexFile:
    """A file that a package index offers."""

    filename: str
    size_bytes: int = 0
    """0 where the index does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseOffer:
    """One base image that could be used."""

    name: str
    """``slim``, ``full`` or ``alpine``."""
    reference: str
    libc: Libc
    size_bytes: int
    is_measured: bool
    """Whether the engine has it and was asked; otherwise the size is a usual one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseJudgement:
    """What one base would mean for a lock."""

    offer: BaseOffer
    fits: bool
    """Whether everything can be installed from wheels, or compiled, and finds its libraries."""
    why: tuple[str, ...]
    compiled: tuple[str, ...] = ()
    """Packages without a wheel for it, which are compiled."""
    impossible: tuple[str, ...] = ()
    """Packages that it has neither a wheel nor a source for."""
    packages_bytes: int = 0
    """Bytes of the wheels and sources to download."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseAdvice:
    """Which base to take, and what speaks for each."""

    chosen: str
    why: str
    judgements: tuple[BaseJudgement, ...]
