"""What a model takes and gives: named tensors with Open Inference Protocol v2 datatypes."""

from dataclasses import dataclass

DATATYPES = (
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "BF16",
    "FP32",
    "FP64",
    "BYTES",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorSpec:
    """One named tensor; ``-1`` in ``shape`` is a free dimension, the first one is the batch."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """The inputs and outputs of a model, in the model's own order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    columns: tuple[str, ...] = ()
    """Feature names when the model was fitted on named columns, else empty."""
