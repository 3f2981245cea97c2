"""Rows and arrays as tensors of the Open Inference Protocol v2, and back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_ai.domain.errors import InvalidInput

_ARRAY_TYPES = {
    "bool": "BOOL", "float16": "FP16", "float32": "FP32", "float64": "FP64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
}  # fmt: skip
DIMENSIONS_MAX = 16


def infer_body(data: Any, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of an infer request.

    ``data`` is one value for a model with one input (rows as nested lists, an array, a data frame's values),
    or a mapping of input name to such a value. ``metadata`` is the model's own, from the protocol.

    Raises:
        InvalidInput: rows have different lengths, or an input is missing or unknown.
    """
    declared = {str(tensor["name"]): tensor for tensor in metadata.get("inputs", [])}
    given = data if isinstance(data, Mapping) else {_only(declared): data}
    unknown = [name for name in given if declared and name not in declared]
    missing = [name for name in declared if name not in given]
    if unknown or missing:
        wrong = f"unknown input {unknown[0]!r}" if unknown else f"input {missing[0]!r} is missing"
        raise InvalidInput(wrong, hint=f"the model's inputs: {', '.join(declared)}")
    return {"inputs": [tensor(name, value, declared.get(name)) for name, value in given.items()]}


def tensor(name: str, value: Any, declared: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return one named tensor; the model's own datatype wins over the array's.

    A single row is taken as a batch of one when the model wants one dimension more.

    Raises:
        InvalidInput: rows have different lengths.
    """
    nested = value.tolist() if hasattr(value, "tolist") else value
    shape = _shape(name, nested)
    flat = list(_flat(nested))
    wanted = list(declared["shape"]) if declared and declared.get("shape") else None
    if wanted is not None and len(wanted) == len(shape) + 1 and wanted[0] in (-1, 1):
        shape = [1, *shape]
    return {
        "name": name,
        "datatype": _datatype(value, flat, declared),
        "shape": shape,
        "data": flat,
    }


def nested_data(tensor: Mapping[str, Any]) -> Any:
    """Return the data of an output tensor as nested lists of its shape."""
    data, shape = list(tensor.get("data", [])), [int(size) for size in tensor.get("shape", [])]
    for size in reversed(shape[1:]):
        step = max(size, 1)
        data = [data[start : start + step] for start in range(0, len(data), step)]
    return data


def _only(declared: Mapping[str, Any]) -> str:
    if len(declared) == 1:
        return next(iter(declared))
    names = ", ".join(declared) or "none that the model server names"
    raise InvalidInput(
        "the model has several inputs, so each value needs a name",
        hint=f"give a mapping; inputs: {names}",
    )


def _shape(name: str, value: Any) -> list[int]:
    """Return the sizes of a rectangular nesting.

    Raises:
        InvalidInput: it is not rectangular.
    """
    if not _is_list(value):
        return []
    inner = [_shape(name, item) for item in value]
    for position, shape in enumerate(inner):
        if shape != inner[0]:
            raise InvalidInput(
                f"input {name!r}: row {position} has shape {shape}, row 0 has {inner[0]}"
            )
    shape = [len(value), *(inner[0] if inner else [])]
    if len(shape) > DIMENSIONS_MAX:
        raise InvalidInput(f"input {name!r} has more than {DIMENSIONS_MAX} dimensions")
    return shape


def _flat(value: Any) -> Iterator[Any]:
    if _is_list(value):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _datatype(value: Any, flat: Sequence[Any], declared: Mapping[str, Any] | None) -> str:
    if declared and declared.get("datatype"):
        return str(declared["datatype"])
    array_type = _ARRAY_TYPES.get(str(getattr(value, "dtype", "")))
    if array_type:
        return array_type
    if any(isinstance(item, str) for item in flat):
        return "BYTES"
    if flat and all(isinstance(item, bool) for item in flat):
        return "BOOL"
    return "FP64" if any(isinstance(item, float) for item in flat) else "INT64"
