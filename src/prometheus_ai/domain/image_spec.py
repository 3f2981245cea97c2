"""What a user may choose about the image of a backend."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Bytecode = Literal["cold-start", "small"]
Weights = Literal["auto", "layer", "mount"]


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
        description="Model as a `layer` of the image or as a read-only `mount`; `auto` mounts from 100 MB on.",
    )
