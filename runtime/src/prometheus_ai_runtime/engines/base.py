"""The seam between the server and what executes a model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from prometheus_ai_runtime.engine_errors import EngineError, EngineMissing, UnsafeFormat
from prometheus_ai_runtime.signature import Signature

__all__ = [
    "EngineError",
    "EngineMissing",
    "LoadRequest",
    "LoadedModel",
    "PreparingModel",
    "StreamingModel",
    "Tensors",
    "UnsafeFormat",
]

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadRequest:
    """What an engine needs to load one model."""

    path: Path
    signature: Signature | None = None
    """The declared signature; the engine checks it against the file and refuses a difference."""
    threads: int = 1
    """Compute threads the engine may use; follows the CPU quota, not the host."""
    device: str = "cpu"
    """``cpu``, ``cuda`` or ``cuda:N``."""
    allow_pickle: bool = False
    """Whether formats that execute code on load (pickle, joblib, torch pickle) are permitted."""
    options: Mapping[str, Any] = field(default_factory=dict)


class LoadedModel(Protocol):
    """A model in memory. ``predict`` is called by one thread at a time."""

    signature: Signature
    batchable: bool
    """Whether rows of different requests may share one call along axis 0."""
    missing_is_nan: bool
    """Whether NaN in an input means a missing value; else it is refused unless limits allow it."""
    warnings: tuple[str, ...]
    """What the one who deploys this model should know; the server logs each line once."""

    def predict(self, inputs: Tensors) -> Tensors:
        """Run the model on a batch; every array has the rows on axis 0.

        BYTES are object arrays of bytes, BF16 is widened to float32.
        """

    def close(self) -> None:
        """Release memory and handles; the model is not used afterwards."""


class PreparingModel(LoadedModel, Protocol):
    """A model whose work has a part that need not wait for its turn: tokenising, resizing, looking up.

    Each of both is called by one thread at a time, but both may be called at the same time.
    """

    def prepare(self, inputs: Tensors) -> Any:
        """Make of a batch what ``run`` takes."""

    def run(self, prepared: Any) -> Tensors:
        """Run the model on what was prepared; ``predict`` is both, one after the other."""


class StreamingModel(LoadedModel, Protocol):
    """A model that yields partial outputs for one request."""

    def stream(self, inputs: Tensors) -> Iterator[Tensors]:
        """Yield output tensors as they come; closing the iterator cancels the work."""
