"""What the hot path needs to know of a signature, computed once when a model is loaded."""

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from prometheus_ai_runtime.errors import InvalidRequest, TooLarge
from prometheus_ai_runtime.signature import Signature, TensorSpec

NUMPY_DTYPES: dict[str, Any] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    # NumPy has no bfloat16: engines see float32, the wire carries the upper two bytes.
    "BF16": np.dtype("<f4"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype(object),
}
WIRE_BYTES = {
    name: 2 if name == "BF16" else int(dtype.itemsize)
    for name, dtype in NUMPY_DTYPES.items()
    if name != "BYTES"
}
_STRUCT_CODES = {
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
_PACKED_COUNT_MAX = 512
_SHAPES_CACHED_MAX = 128
_NDIM_MAX = 16

ShapeKey = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Extent:
    """One accepted shape of an input: rows, the shape of a row, and how many values in all."""

    rows: int
    row_shape: tuple[int, ...]
    count: int
    pack: Callable[..., bytes] | None
    """Packs exactly ``count`` numbers into wire bytes; None when the count is too large for it."""


class InputPlan:
    """One input tensor: its datatype's codec and the shapes seen so far."""

    __slots__ = (
        "batched",
        "dtype",
        "fixed",
        "index",
        "item_bytes",
        "shapes",
        "spec",
        "struct_code",
    )

    def __init__(self, spec: TensorSpec, index: int, batched: bool) -> None:
        self.spec = spec
        self.index = index
        self.batched = batched
        self.dtype = NUMPY_DTYPES[spec.datatype]
        self.item_bytes = WIRE_BYTES.get(spec.datatype, 0)
        self.struct_code = _STRUCT_CODES.get(spec.datatype)
        self.fixed = all(n >= 0 for n in spec.shape[1:]) if batched else False
        self.shapes: dict[tuple[int, ...], Extent] = {}

    def extent(self, shape: Any) -> Extent:
        """Check a request's shape against the signature; InvalidRequest says how it disagrees."""
        try:
            key = tuple(shape)
            extent = self.shapes.get(key)
        except TypeError:
            key, extent = (), None
        if extent is None:
            extent = self._checked(shape)
            if len(self.shapes) >= _SHAPES_CACHED_MAX:
                self.shapes.clear()
            self.shapes[key] = extent
        return extent

    def _checked(self, shape: Any) -> Extent:
        spec = self.spec
        if not isinstance(shape, list | tuple) or not all(type(n) is int for n in shape):
            raise InvalidRequest(f"input `{spec.name}`: `shape` must be a list of whole numbers")
        if any(n < 0 for n in shape):
            raise InvalidRequest(f"input `{spec.name}`: `shape` has a negative size")
        if len(shape) > _NDIM_MAX:
            raise InvalidRequest(f"input `{spec.name}`: more than {_NDIM_MAX} dimensions")
        count = math.prod(shape)
        # A zero beside a huge size has a small product, so each size is bounded as well.
        if count >= 2**40 or any(n >= 2**40 for n in shape):
            raise TooLarge(f"input `{spec.name}`: a shape of {count} values is too large")
        wanted = spec.shape
        if len(shape) != len(wanted) or any(
            w not in (-1, n) for w, n in zip(wanted, shape, strict=True)
        ):
            raise InvalidRequest(
                f"input `{spec.name}`: expected shape {list(wanted)}, got {list(shape)}"
            )
        if self.batched and shape[0] == 0:
            raise InvalidRequest(f"input `{spec.name}`: no rows")
        pack = None
        if self.struct_code is not None and count <= _PACKED_COUNT_MAX:
            pack = struct.Struct(f"<{count}{self.struct_code}").pack
        if self.batched:
            return Extent(shape[0], tuple(shape[1:]), count, pack)
        return Extent(1, tuple(shape), count, pack)


class Plan:
    """All inputs and outputs of one loaded model."""

    __slots__ = (
        "batched",
        "fixed_key",
        "inputs",
        "inputs_by_name",
        "output_index",
        "padded",
        "signature",
    )

    def __init__(
        self, signature: Signature, batched: bool, pad: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        self.signature = signature
        self.batched = batched
        self.padded = _padded(signature, batched, pad)
        """By input position: the value that fills rows up to the longest of their batch."""
        self.inputs = tuple(InputPlan(s, i, batched) for i, s in enumerate(signature.inputs))
        self.inputs_by_name = {p.spec.name: p for p in self.inputs}
        self.output_index = {s.name: i for i, s in enumerate(signature.outputs)}
        fixed = not self.padded and all(p.fixed for p in self.inputs)
        self.fixed_key: ShapeKey | None = (
            tuple(s.shape[1:] for s in signature.inputs) if fixed else None
        )

    def grouping(self, row_shapes: ShapeKey) -> ShapeKey:
        """The key under which rows may share a batch."""
        if not self.padded:
            return row_shapes
        return tuple(
            self.signature.inputs[i].shape[1:] if i in self.padded else shape
            for i, shape in enumerate(row_shapes)
        )


class PaddingImpossible(Exception):
    """The declared padding cannot be done for this model."""


def _padded(signature: Signature, batched: bool, pad: Mapping[str, float]) -> dict[int, float]:
    if not pad:
        return {}
    if not batched:
        raise PaddingImpossible("`batching.pad` needs a model whose rows may share a call")
    names = [t.name for t in signature.inputs]
    for name in pad:
        if name not in names:
            known = ", ".join(names)
            raise PaddingImpossible(f"`batching.pad` names `{name}`; the model takes: {known}")
        datatype = signature.inputs[names.index(name)].datatype
        if datatype == "BYTES":
            raise PaddingImpossible(f"`batching.pad`: `{name}` is BYTES and cannot be padded")
        if not _holds(datatype, pad[name]):
            raise PaddingImpossible(
                f"`batching.pad`: `{name}` is {datatype}, which has no {pad[name]:g}"
            )
    for output in signature.outputs:
        if any(n < 0 for n in output.shape[1:]):
            # Its size would depend on what else was in the batch.
            raise PaddingImpossible(
                f"`batching.pad` would reach output `{output.name}`, whose rows have a free size; "
                "pad only models whose outputs have a fixed shape a row"
            )
    return {names.index(name): value for name, value in pad.items()}


def _holds(datatype: str, value: float) -> bool:
    dtype = NUMPY_DTYPES[datatype]
    if dtype.kind == "f":
        return True
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return value.is_integer() and low <= value <= high
