"""What the file says against what was declared: one signature, or every difference at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus_ai_runtime.engines.base import EngineError, LoadRequest
from prometheus_ai_runtime.signature import Signature, TensorSpec

# BF16 has no NumPy type: between server and engine its values travel widened to float32.
NUMPY_TYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "BF16": np.dtype(np.float32),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
_DATATYPES = {dtype: name for name, dtype in NUMPY_TYPES.items() if name != "BF16"}


def datatype_of(dtype: np.dtype[Any]) -> str:
    """Name the protocol datatype of a NumPy type; strings of any width are BYTES."""
    if dtype.kind in "OSU":
        return "BYTES"
    try:
        return _DATATYPES[dtype.newbyteorder("=")]
    except KeyError:
        raise EngineError(f"NumPy type {dtype} has no Open Inference Protocol datatype") from None


def agree(found: Signature, request: LoadRequest) -> Signature:
    """Give the signature to serve: the file's, narrowed by the declared one.

    A declared signature may fix a dimension that the file leaves free, choose its own order and
    leave outputs out. Any other difference is refused.
    """
    declared = request.signature
    if declared is None:
        return found
    differences = [
        *_differences("input", declared.inputs, found.inputs, may_omit=False),
        *_differences("output", declared.outputs, found.outputs, may_omit=True),
    ]
    if declared.columns and declared.columns != found.columns:
        differences.append(
            f"columns: declared {list(declared.columns)}, the model has {list(found.columns)}"
        )
    if differences:
        raise EngineError(
            f"the declared signature disagrees with {request.path}: "
            + "; ".join(differences)
            + "; correct the signature or leave it out to take the file's"
        )
    return Signature(inputs=declared.inputs, outputs=declared.outputs, columns=found.columns)


def rows_are_free(signature: Signature) -> bool:
    """Whether every tensor has the batch as a free first dimension."""
    tensors = (*signature.inputs, *signature.outputs)
    return all(tensor.shape[:1] == (-1,) for tensor in tensors)


def as_bytes(values: NDArray[Any]) -> NDArray[Any]:
    """Turn an array of strings into the object array of bytes that BYTES tensors are."""
    encoded = np.empty(values.shape, dtype=np.object_)
    encoded.ravel()[:] = [
        value if isinstance(value, bytes) else str(value).encode() for value in values.ravel()
    ]
    return encoded


def as_text(values: NDArray[Any]) -> NDArray[Any]:
    """Turn an object array of bytes into one of str; bytes that are not UTF-8 are an error."""
    decoded = np.empty(values.shape, dtype=np.object_)
    decoded.ravel()[:] = [
        value.decode() if isinstance(value, bytes) else str(value) for value in values.ravel()
    ]
    return decoded


def _differences(
    kind: str,
    declared: tuple[TensorSpec, ...],
    found: tuple[TensorSpec, ...],
    *,
    may_omit: bool,
) -> list[str]:
    differences = []
    by_name = {tensor.name: tensor for tensor in found}
    for tensor in declared:
        actual = by_name.pop(tensor.name, None)
        if actual is None:
            names = ", ".join(each.name for each in found)
            differences.append(f"{kind} `{tensor.name}`: not in the model, which has {names}")
            continue
        if tensor.datatype != actual.datatype:
            differences.append(
                f"{kind} `{tensor.name}`: declared {tensor.datatype}, the model has "
                f"{actual.datatype}"
            )
        if not _narrows(tensor.shape, actual.shape):
            differences.append(
                f"{kind} `{tensor.name}`: declared shape {list(tensor.shape)}, the model has "
                f"{list(actual.shape)}"
            )
    if by_name and not may_omit:
        differences.extend(f"{kind} `{name}`: the model needs it, not declared" for name in by_name)
    return differences


def _narrows(declared: tuple[int, ...], actual: tuple[int, ...]) -> bool:
    return len(declared) == len(actual) and all(
        theirs in (-1, mine) for mine, theirs in zip(declared, actual, strict=True)
    )
