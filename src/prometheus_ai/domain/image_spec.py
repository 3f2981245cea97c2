"""What a user may choose about the image of a backend, and about the container that it runs in."""

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Bytecode = Literal["cold-start", "small"]
Weights = Literal["auto", "layer", "mount", "pull"]
HardeningField = Literal[
    "user", "read_only_root", "tmp_noexec", "capabilities", "no_new_privileges", "seccomp", "pids"
]
Capability = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z_]{2,39}$")]

USER_ID = 10001
"""The user that model servers run as in containers: it owns nothing."""
PIDS_MAX = 512


class ImageSpec(BaseModel):
    """How the container image is made, for targets that run containers."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, strict=False)

    base: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9._/:-]{0,200}(@sha256:[0-9a-f]{64})?$",
        description="Base image; the slim image of the environment's Python when left out.",
        examples=["python:3.11-slim"],
    )
    bytecode: Bytecode = Field(
        default="cold-start",
        description="`cold-start` compiles packages, so that replicas start fast; `small` compiles nothing.",
    )
    weights: Weights = Field(
        default="auto",
        description="Model as a `layer` of the image, as a read-only `mount` that replicas share, or by `pull`, "
        "fetched and checked anew at every start; `auto` mounts from 100 MB on.",
    )


class ContainerSpec(BaseModel):
    """Exceptions from how containers are hardened; each needs a reason, and the policy's leave."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, strict=False)

    user: int = Field(
        default=USER_ID, ge=0, le=2**31 - 1, description="Numeric user that the server runs as."
    )
    read_only_root: bool = Field(
        default=True, description="Nothing of the image's file system can be written."
    )
    tmp_noexec: bool = Field(default=True, description="Nothing in /tmp can be executed.")
    capabilities: tuple[Capability, ...] = Field(
        default=(),
        max_length=16,
        description="Kernel capabilities to keep, with `user: 0`; others lose them at once.",
        examples=[["SYS_NICE"]],
    )
    no_new_privileges: bool = Field(
        default=True, description="No program that is started may gain privileges."
    )
    seccomp: Literal["default", "unconfined"] = Field(
        default="default", description="The engine's own filter of system calls, or none."
    )
    pids: int = Field(default=PIDS_MAX, ge=16, le=65_536, description="Most processes and threads.")
    reasons: dict[HardeningField, str] = Field(
        default_factory=dict,
        description="Why each field above is not as it comes: one reason for each, and no others.",
    )

    @property
    def exceptions(self) -> tuple[HardeningField, ...]:
        """The fields that ask for more than a hardened container has."""
        hardened = ContainerSpec.model_construct()
        names: tuple[HardeningField, ...] = get_args(HardeningField)
        return tuple(
            name
            for name in names
            if getattr(self, name) != getattr(hardened, name)
            and not (name == "pids" and self.pids < PIDS_MAX)
        )

    @model_validator(mode="after")
    def _capabilities_count(self) -> Self:
        if self.capabilities and self.user != 0:
            raise ValueError("capabilities are lost by every user but root; they need user: 0 too")
        return self

    @model_validator(mode="after")
    def _has_reasons(self) -> Self:
        unsaid = [name for name in self.exceptions if not self.reasons.get(name, "").strip()]
        if unsaid:
            raise ValueError(f"say why in reasons: {{{unsaid[0]}: …}}")
        idle = [name for name in self.reasons if name not in self.exceptions]
        if idle:
            raise ValueError(f"reasons names {idle[0]}, which is as hardened as it comes")
        return self
