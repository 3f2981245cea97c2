"""What a user asks for: one backend, written in ``pai.yaml``.

These are the only models built with pydantic in ``domain/``: one definition validates the file,
publishes its JSON Schema and travels as JSON. Unknown fields are errors; there are no silent ones.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from prometheus_ai.domain.image_spec import ContainerSpec, ImageSpec
from prometheus_ai.domain.policy import RolloutSpec, ScalingSpec
from prometheus_ai.domain.secret import SECRET_NAME, SecretReference

BACKEND_NAME = r"^[a-z]([a-z0-9-]{0,46}[a-z0-9])?$"
VERSION_NAME = r"^[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?$"
RESERVED_NAMES = frozenset(
    {"v1", "v2", "api", "metrics", "health", "healthz", "pai", "docs", "localhost"}
)

EngineName = Literal["onnx", "sklearn", "xgboost", "lightgbm", "torch", "huggingface", "python"]
Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "BF16", "FP32", "FP64", "BYTES",
]  # fmt: skip

SecretName = Annotated[str, StringConstraints(pattern=SECRET_NAME)]

RedactedName = Annotated[str, StringConstraints(min_length=1, max_length=128)]

_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*(|k|M|G|T|Ki|Mi|Gi|Ti)B?$")
_UNITS = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip


def parse_size(text: str | int) -> int:
    """Turn ``512Mi``, ``2G`` or a number into bytes.

    Raises:
        ValueError: the text is not a size.
    """
    match = _SIZE.match(str(text).strip())
    if match is None:
        raise ValueError(
            f"{text!r} is not a size; write a number with k, M, G, Ki, Mi or Gi, such as 512Mi"
        )
    return int(float(match[1]) * _UNITS[match[2]])


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, strict=False)


class TensorSpec(_Frozen):
    """One named tensor of a model's signature."""

    name: str = Field(min_length=1, description="The tensor's name in the model.")
    datatype: Datatype = Field(description="Open Inference Protocol v2 datatype.")
    shape: tuple[int, ...] = Field(
        description="Dimensions; -1 is free, and the first one is the batch.", examples=[[-1, 64]]
    )


class Signature(_Frozen):
    """What the model takes and gives."""

    inputs: tuple[TensorSpec, ...] = Field(min_length=1, description="What the model takes.")
    outputs: tuple[TensorSpec, ...] = Field(min_length=1, description="What the model gives.")


class ModelSpec(_Frozen):
    """The trained model."""

    path: str = Field(
        min_length=1,
        description="A file or folder beside the spec, or an http(s) URL (then `sha256` is required).",
        examples=["model.onnx"],
    )
    sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="Digest of the file; required for a URL.",
    )
    engine: EngineName | None = Field(
        default=None, description="What executes the model; detected from the file when left out."
    )
    signature: Signature | None = Field(
        default=None, description="Inputs and outputs; read from the model when left out."
    )
    allow_pickle: bool = Field(
        default=False,
        description="Permit formats that run code while loading (pickle, joblib). Prefer skops or ONNX.",
    )

    @property
    def is_remote(self) -> bool:
        """Whether the path is an http(s) URL."""
        return self.path.startswith(("http://", "https://"))

    @model_validator(mode="after")
    def _remote_needs_digest(self) -> Self:
        if self.is_remote and self.sha256 is None:
            raise ValueError(
                "a model from a URL needs its sha256, so that every start runs the same bytes"
            )
        if "://" in self.path and not self.is_remote:
            scheme = self.path.split("://", 1)[0]
            raise ValueError(f"{scheme}:// is not supported; use a local path, http:// or https://")
        return self


class EnvironmentSpec(_Frozen):
    """The Python environment the model runs in."""

    python: str = Field(
        default="3.11",
        pattern=r"^3\.\d{1,2}(\.\d{1,2})?$",
        description="Python version of the environment.",
    )
    requirements: tuple[str, ...] | str | None = Field(
        default=None,
        description="Requirements as a list, or the path of a requirements file; the engine's own are added.",
        examples=[["scikit-learn==1.7.2"]],
    )
    lock: str | None = Field(
        default=None,
        description="Path of a lock to install exactly: uv.lock, pylock.toml or requirements with hashes.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.requirements is not None and self.lock is not None:
            raise ValueError(
                "give either requirements or lock, not both: a lock is already complete"
            )
        return self


class ResourcesSpec(_Frozen):
    """What one replica may use."""

    cpu: float = Field(
        default=1.0, gt=0, le=1024, description="CPU cores; also the engine's thread count."
    )
    memory: str = Field(
        default="1Gi", description="Memory limit of one replica.", examples=["512Mi", "2Gi"]
    )
    gpu: int = Field(default=0, ge=0, le=64, description="GPUs of one replica.")

    @field_validator("memory")
    @classmethod
    def _memory_is_a_size(cls, memory: str) -> str:
        if parse_size(memory) < 64 * 2**20:
            raise ValueError("must be at least 64Mi: the model server itself needs about 50Mi")
        return memory

    @property
    def memory_bytes(self) -> int:
        """The memory limit in bytes."""
        return parse_size(self.memory)


class BatchingSpec(_Frozen):
    """How concurrent requests share one engine call."""

    rows_max: int = Field(default=32, ge=1, le=65536, description="Most rows in one engine call.")
    wait_ms_max: float = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Longest a request waits for company; 0 adds no wait.",
    )
    queue_rows_max: int = Field(
        default=1024,
        ge=1,
        le=1_000_000,
        description="Rows that may wait; beyond it requests get 429.",
    )


class TimeoutsSpec(_Frozen):
    """Every bound on waiting, in seconds."""

    request_s: float = Field(
        default=30, gt=0, le=86_400, description="Longest one request may take."
    )
    startup_s: float = Field(
        default=120, gt=0, le=86_400, description="Longest from start to ready."
    )
    drain_s: float = Field(
        default=30, ge=0, le=86_400, description="Longest a stopping replica may finish work."
    )
    progress_s: float = Field(
        default=30,
        gt=0,
        le=86_400,
        description="An engine busy this long without progress is wedged.",
    )


class LimitsSpec(_Frozen):
    """Bounds on what one request may send."""

    request_size: str = Field(
        default="16Mi", description="Largest request body; beyond it clients get 413."
    )

    @field_validator("request_size")
    @classmethod
    def _is_a_size(cls, request_size: str) -> str:
        if not 1 <= parse_size(request_size) <= 2**31:
            raise ValueError("must be between 1 and 2Gi")
        return request_size

    @property
    def request_bytes_max(self) -> int:
        """The limit in bytes."""
        return parse_size(self.request_size)


class RecordingSpec(_Frozen):
    """Requests kept, so that ``rollout.low_traffic: replay`` has something to send to a later release."""

    requests: int = Field(
        default=2000, ge=1, le=20_000, description="Most requests to keep; the oldest go."
    )
    request_size: str = Field(
        default="64Ki", description="A request with a longer body is not kept."
    )
    keep_s: float = Field(
        default=604_800, ge=60, le=2_592_000, description="How long a request is kept."
    )
    redact: tuple[RedactedName, ...] = Field(
        default=(), max_length=64,
        description="Inputs and JSON fields blanked before a request is kept; one that lacks any is not kept.",
        examples=[["city"]],
    )  # fmt: skip

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if not 1 <= self.request_bytes_max <= 2**20:
            raise ValueError("request_size must be between 1 and 1Mi")
        if self.requests * self.request_bytes_max > 2**30:
            raise ValueError("requests times request_size must be at most 1Gi")
        return self

    @property
    def request_bytes_max(self) -> int:
        """The longest body in bytes."""
        return parse_size(self.request_size)


class StickySpec(_Frozen):
    """Keep each client on one release while weights stay or grow."""

    header: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9-]{1,64}$", description="Hash this request header."
    )
    cookie: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Hash this cookie; minted when absent.",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.header is None) == (self.cookie is None):
            raise ValueError("sticky needs exactly one of header and cookie")
        return self


class RouteSpec(_Frozen):
    """How traffic reaches the releases of this backend."""

    weight: int = Field(
        default=100, ge=0, le=100,
        description="Percent of traffic a new release gets once it is ready; the rest stays where it was.",
    )  # fmt: skip
    sticky: StickySpec | None = Field(
        default=None, description="Sticky assignment of clients to releases."
    )
    idempotent: bool = Field(
        default=False,
        description="A request may safely run twice, so the gateway retries it when a replica dies.",
    )
    allow_other_inputs: bool = Field(
        default=False,
        description="Take traffic although the declared inputs differ from those of the release that has it: "
        "requests written for that release are then refused with 400.",
    )
    keep_warm_s: float = Field(
        default=600, ge=0, le=86_400,
        description="How long a release without traffic keeps running, ready for an instant rollback.",
    )  # fmt: skip


class Spec(_Frozen):
    """One backend: a named AI service and how to run it."""

    name: str = Field(
        pattern=BACKEND_NAME, description="The backend's name: lower case, digits and hyphens."
    )
    version: str | None = Field(
        default=None,
        pattern=VERSION_NAME,
        description="The release's version; the next v<N> when left out.",
    )
    model: ModelSpec
    environment: EnvironmentSpec = EnvironmentSpec()
    resources: ResourcesSpec = ResourcesSpec()
    replicas: int = Field(
        default=1, ge=1, le=1000, description="Replicas of each release that has traffic."
    )
    batching: BatchingSpec = BatchingSpec()
    timeouts: TimeoutsSpec = TimeoutsSpec()
    limits: LimitsSpec = LimitsSpec()
    target: str = Field(
        default="local",
        pattern=BACKEND_NAME,
        description="Where to run: `local`, or a target added later.",
    )
    route: RouteSpec = RouteSpec()
    rollout: RolloutSpec | None = Field(
        default=None,
        description="How a new release takes over by evidence; without it `route.weight` says its share.",
    )
    image: ImageSpec | None = Field(
        default=None,
        description="How the container image is made, on targets that run containers.",
    )
    container: ContainerSpec | None = Field(
        default=None,
        description="Exceptions from how containers are hardened, where the policy allows them.",
    )
    recording: RecordingSpec | None = Field(
        default=None,
        description="Keep requests to replay them to a later release; without it no body is ever kept.",
    )
    scaling: ScalingSpec | None = Field(
        default=None,
        description="How replicas follow demand; without it `replicas` stays until `pai scale`.",
    )
    secrets: Annotated[dict[SecretName, SecretReference], Field(max_length=32)] = Field(
        default_factory=dict,
        description="Secrets by file name; values are read at each start, and reach only that file.",
    )
    labels: Annotated[dict[str, str], Field(max_length=64)] = Field(
        default_factory=dict,
        description="Free key-value labels, kept with the release and its events.",
    )

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, name: str) -> str:
        if name in RESERVED_NAMES:
            raise ValueError(f"{name!r} is reserved for the gateway's own paths; choose another")
        return name
