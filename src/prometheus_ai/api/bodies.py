"""What requests carry."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

REASON_LEN_MAX = 500
DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"

Digest = Annotated[str, Field(pattern=DIGEST_PATTERN, examples=["sha256:" + "0" * 64])]
Version = Annotated[str, Field(max_length=64, examples=["v2"])]
Reason = Annotated[
    str, Field(max_length=REASON_LEN_MAX, description="Why; recorded in the audit log.")
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class UploadedFile(_Body):
    """A file or folder that was uploaded before."""

    digest: Digest
    name: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^/\x00]+$")]
    is_tree: bool = False


class SpecToCheck(_Body):
    """The text of a spec file, or its values."""

    text: Annotated[str | None, Field(description="The whole `pai.yaml`.")] = None
    source: Annotated[str, Field(max_length=4096, description="The file's name in messages.")] = (
        "pai.yaml"
    )
    values: dict[str, Any] | None = None


class DeployBody(_Body):
    """A spec and its uploaded inputs."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "spec": {"name": "digits", "model": {"path": "model.onnx", "engine": "onnx"}},
                    "model": {"digest": "sha256:" + "0" * 64, "name": "model.onnx"},
                    "weight": 10,
                    "reason": "retrained on October's data",
                }
            ]
        },
    )
    spec: dict[str, Any]
    model: UploadedFile | None = None
    lock_digest: Digest | None = None
    weight: Annotated[int | None, Field(ge=0, le=100, description="Percent of traffic.")] = None
    relock: bool = False
    reason: Reason = ""


class PlanBody(_Body):
    """A spec whose rollout is to be planned."""

    spec: dict[str, Any]


class RouteBody(_Body):
    """Percent of traffic by version."""

    weights: Annotated[
        dict[str, float], Field(min_length=1, max_length=100, examples=[{"v1": 90, "v2": 10}])
    ]
    reason: Reason = ""


class RolloutBody(_Body):
    """What is asked of the rollout under way."""

    command: Annotated[
        str,
        Field(
            pattern="^(pause|resume|skip|promote|rollback|abort)$",
            description="`pause`, `resume`, `skip`, `promote`, `rollback` or `abort`.",
            examples=["pause"],
        ),
    ]
    reason: Reason = ""


Label = Annotated[str, Field(max_length=256)] | float | int | bool


class FeedbackItem(_Body):
    """What is said about one answer: its true label, or a score."""

    request_id: Annotated[
        str, Field(min_length=1, max_length=256, description="The answer's `x-request-id`.")
    ]
    label: Annotated[
        Label | Annotated[list[Label], Field(min_length=1, max_length=64)] | None,
        Field(description="The true label, or one for each row."),
    ] = None
    score: Annotated[
        float | None, Field(ge=0, le=1, description="0 for a wrong answer, 1 for a right one.")
    ] = None


class FeedbackBody(_Body):
    """What people say about answers."""

    items: Annotated[
        list[FeedbackItem],
        Field(
            min_length=1,
            max_length=1000,
            examples=[[{"request_id": "0b6a2c57-3d1e-4f7b-9a53-0c1c2f6f8a11", "label": 7}]],
        ),
    ]


class VersionBody(_Body):
    """A version; the use case's own choice when left out."""

    version: Version | None = None
    reason: Reason = ""


class ReplicasBody(_Body):
    """How many replicas."""

    replicas: Annotated[int, Field(ge=0, le=1000)]
    version: Version | None = None
    reason: Reason = ""


class NoticeBody(_Body):
    """How soon a replica will be gone with its machine."""

    within_s: Annotated[float, Field(gt=0, le=3600, strict=False, examples=[30])] = 30
    reason: Reason = ""


class TreeBody(_Body):
    """A folder: relative paths and the digests of files uploaded before."""

    files: Annotated[dict[str, Digest], Field(min_length=1, max_length=10_000)]


class InspectBody(_Body):
    """An uploaded model to look into."""

    model: UploadedFile
    lock_digest: None = None
    engine: Annotated[str | None, Field(max_length=32)] = None
    allow_pickle: bool = False


class TokenBody(_Body):
    """A token to make."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["ci"])]
    role: Annotated[str, Field(max_length=32, examples=["deployer"])]


class VerifyBody(_Body):
    """An earlier head of the log that must still be contained in it."""

    checkpoint: dict[str, Any] | None = None


class CollectBody(_Body):
    """Whether to only say what would go."""

    dry_run: bool = False


class TargetBody(_Body):
    """A Docker Engine to run replicas on."""

    name: Annotated[str, Field(min_length=1, max_length=48, examples=["docker"])]
    url: Annotated[str, Field(max_length=500, description="Address of the engine's API.")] = (
        "unix:///var/run/docker.sock"
    )
    tls_folder: Annotated[
        str,
        Field(
            max_length=500, description="Folder with ca.pem, cert.pem and key.pem, on this server."
        ),
    ] = ""
    address: Annotated[
        str,
        Field(
            max_length=255,
            description="Where the gateway reaches ports of that machine; left out for this machine.",
        ),
    ] = ""
    gpus: Annotated[
        int | None, Field(ge=0, le=64, description="GPUs that replicas may be given.")
    ] = None
    allows_egress: Annotated[
        bool, Field(description="Whether replicas may open connections to the outside.")
    ] = False
    log_driver: Annotated[str, Field(max_length=64, description="Docker logging driver.")] = (
        "json-file"
    )
    log_options: Annotated[dict[str, str], Field(max_length=32)] = Field(default_factory=dict)
    reason: Reason = ""
