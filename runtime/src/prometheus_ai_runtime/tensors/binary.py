"""The binary tensor extension: raw little-endian values, and length-prefixed BYTES."""

import math
import struct
import sys
from typing import Any, Literal

import numpy as np

from prometheus_ai_runtime.errors import InvalidRequest
from prometheus_ai_runtime.signature import TensorSpec
from prometheus_ai_runtime.tensors.plan import NUMPY_DTYPES, Extent, InputPlan
from prometheus_ai_runtime.tensors.received import is_known_finite

_LENGTH = struct.Struct("<I")
_NATIVE: dict[str, Literal["f", "d"]] = (
    {"FP32": "f", "FP64": "d"} if sys.byteorder == "little" else {}
)
_SUMMED_MAX = 64
"""Up to here, adding the values up one by one is quicker than an array operation."""


def split_binary(
    plan: InputPlan, extent: Extent, tensor: dict[str, Any], blob: memoryview | None, offset: int
) -> tuple[memoryview | list[bytes], int]:
    """Take one input's bytes from the binary part; gives them and the next offset."""
    name = plan.spec.name
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if type(parameters) is dict else None
    if size is None and type(parameters) is dict and "shared_memory_region" in parameters:
        raise InvalidRequest(f"input `{name}`: shared memory is not offered; send the values")
    if blob is None or size is None:
        raise InvalidRequest(f"input `{name}`: neither `data` nor `binary_data_size` is given")
    if type(size) is not int or size < 0:
        raise InvalidRequest(f"input `{name}`: `binary_data_size` must be a whole number")
    end = offset + size
    if end > len(blob):
        raise InvalidRequest(
            f"input `{name}`: {size} bytes of binary data declared, {len(blob) - offset} sent"
        )
    return checked_raw(plan, extent, blob[offset:end]), end


def checked_raw(plan: InputPlan, extent: Extent, raw: memoryview) -> memoryview | list[bytes]:
    """Check a raw tensor's size, and BYTES lengths or BOOL values, against its shape."""
    spec = plan.spec
    if spec.datatype == "BYTES":
        return split_strings(spec.name, raw, extent.count)
    expected = extent.count * plan.item_bytes
    if len(raw) != expected:
        raise InvalidRequest(
            f"input `{spec.name}`: the shape holds {expected} bytes, {len(raw)} were sent"
        )
    if spec.datatype == "BOOL" and bytes(raw).strip(b"\0\1"):
        raise InvalidRequest(f"input `{spec.name}`: expected BOOL, a byte is neither 0 nor 1")
    return raw


def split_strings(name: str, raw: memoryview, count: int) -> list[bytes]:
    """Split length-prefixed values; there must be exactly ``count``."""
    values: list[bytes] = []
    position, end = 0, len(raw)
    while position < end:
        if len(values) == count or position + 4 > end:
            break
        (length,) = _LENGTH.unpack_from(raw, position)
        position += 4
        if position + length > end:
            raise InvalidRequest(f"input `{name}`: a BYTES value runs past the end of its data")
        values.append(bytes(raw[position : position + length]))
        position += length
    if len(values) != count or position != end:
        raise InvalidRequest(
            f"input `{name}`: the shape holds {count} BYTES values, sent otherwise"
        )
    return values


def join_strings(values: list[bytes]) -> bytes:
    """Length-prefix and join BYTES values."""
    return b"".join(piece for v in values for piece in (_LENGTH.pack(len(v)), v))


def check_finite(spec: TensorSpec, raw: memoryview | list[bytes], extent: Extent) -> None:
    """Refuse NaN and infinities in a raw floating-point tensor, naming the first row that has one."""
    if isinstance(raw, list) or spec.datatype not in ("FP16", "FP32", "FP64", "BF16"):
        return
    if spec.datatype == "FP32" and is_known_finite(raw):
        return
    kind = _NATIVE.get(spec.datatype)
    if kind is not None:
        # NaN and infinities survive addition; an overflow of finite values is looked at again below.
        # A sum of Einstein's is read once, writes nothing and warns of nothing.
        if extent.count <= _SUMMED_MAX:
            total = sum(raw.cast(kind))
        else:
            total = float(np.einsum("i->", np.frombuffer(raw, NUMPY_DTYPES[spec.datatype])))
        if total - total == 0.0:
            return
    if spec.datatype == "BF16":
        finite = (np.frombuffer(raw, "<u2") & 0x7F80) != 0x7F80
    else:
        finite = np.isfinite(np.frombuffer(raw, NUMPY_DTYPES[spec.datatype]))
    if not finite.all():
        width = max(1, math.prod(extent.row_shape))
        row = int(np.argmin(finite)) // width
        raise InvalidRequest(
            f"input `{spec.name}`: expected finite {spec.datatype}, row {row} has NaN or infinity"
        )
