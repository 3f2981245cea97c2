"""Answers: output arrays enter; JSON and binary tensors leave."""

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from prometheus_ai_runtime.signature import TensorSpec
from prometheus_ai_runtime.tensors.binary import join_strings
from prometheus_ai_runtime.tensors.decode import to_bfloat16

_NUMPY = orjson.OPT_SERIALIZE_NUMPY
_dumps = orjson.dumps


_ROW_BYTES_LARGE = 1024


def are_large(array: NDArray[Any]) -> bool:
    """Whether each row of numbers is worth a serialisation of its own.

    Then the first client has its answer while the others' are written, and no thread waits long.
    """
    return (
        array.ndim > 1 and array.dtype.kind != "O" and array.nbytes > _ROW_BYTES_LARGE * len(array)
    )


def rows_one_by_one(array: NDArray[Any]) -> Iterator[bytes]:
    """Each row's values as the inside of a flat JSON array, made when it is asked for."""
    for row in array.reshape(len(array), -1):
        yield _dumps(row, option=_NUMPY)[1:-1]


def rows_as_json(array: NDArray[Any], rows: int) -> list[bytes]:
    """Each row's values as the inside of a flat JSON array, from one serialisation of the batch."""
    if array.dtype.kind == "O":
        flat = array.reshape(rows, -1)
        return [_dumps([text_of(v) for v in row])[1:-1] for row in flat]
    if array.ndim == 1:
        return _dumps(array, option=_NUMPY)[1:-1].split(b",")
    if array.ndim > 2:
        array = array.reshape(rows, -1)
    if array.shape[1] == 0:
        return [b""] * rows
    return _dumps(array, option=_NUMPY)[2:-2].split(b"],[")


def text_of(value: Any) -> str:
    """A BYTES value as JSON text; what is not UTF-8 becomes base64, for JSON has no bytes."""
    if isinstance(value, str):
        return value
    raw = bytes(value)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()


def raw_bytes(spec: TensorSpec, array: NDArray[Any]) -> bytes:
    """An output's values as the binary extension carries them."""
    if spec.datatype == "BYTES":
        values = [v.encode() if isinstance(v, str) else bytes(v) for v in array.reshape(-1)]
        return join_strings(values)
    if spec.datatype == "BF16":
        return to_bfloat16(array)
    return array.tobytes()


def json_values(array: NDArray[Any]) -> Any:
    """An output's values as a flat list that the JSON writer takes."""
    if array.dtype.kind == "O":
        return [text_of(value) for value in array.reshape(-1)]
    return np.ascontiguousarray(array).reshape(-1)


def normal_output(spec: TensorSpec, output: Any, dtype: Any) -> NDArray[Any]:
    """An engine's output as a contiguous array of the declared datatype.

    Raises ValueError when the values cannot be of that datatype.
    """
    array: NDArray[Any] = np.asarray(output)
    if array.dtype != dtype:
        if spec.datatype == "BYTES":
            if array.dtype.kind not in "US":
                raise ValueError(f"output `{spec.name}` is {array.dtype}, declared BYTES")
            array = array.astype(object)
        elif array.dtype.kind in "biuf":
            array = array.astype(dtype)
        else:
            raise ValueError(f"output `{spec.name}` is {array.dtype}, declared {spec.datatype}")
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    return array
