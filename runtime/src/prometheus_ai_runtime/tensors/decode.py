"""Inference requests: a body enters, checked raw tensors leave."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from prometheus_ai_runtime.errors import InvalidRequest
from prometheus_ai_runtime.signature import TensorSpec
from prometheus_ai_runtime.tensors.binary import check_finite, split_binary
from prometheus_ai_runtime.tensors.plan import Extent, InputPlan, Plan, ShapeKey
from prometheus_ai_runtime.tensors.widen import accepts, sent_plan, widened

Part = bytes | bytearray | memoryview | list[bytes]
"""One input of one request: little-endian values as on the wire, or one ``bytes`` a value for BYTES."""

_JSON_CHECK_BYTES = 64 * 1024
_loads = orjson.loads


@dataclass(slots=True)
class WantedOutput:
    """An output that the request named."""

    index: int
    binary: bool


@dataclass(slots=True)
class Decoded:
    """A checked inference request."""

    rows: int
    parts: list[Part]
    row_shapes: ShapeKey
    id: str | None = None
    wanted: list[WantedOutput] | None = None
    """None means every output as JSON."""
    parameters: dict[str, Any] | None = None


_NO_PARAMETERS: dict[str, Any] = {}


def decode(
    plan: Plan, body: bytes | memoryview, json_bytes: int | None, finite_only: bool
) -> Decoded:
    """Decode an inference body; ``json_bytes`` is the JSON part's length when binary data follows.

    Raises InvalidRequest or TooLarge; the text names the input, the row and what was expected.
    """
    blob: memoryview | None = None
    text: bytes | memoryview = body
    if json_bytes is not None:
        view = memoryview(body)
        if json_bytes > len(body):
            raise InvalidRequest("inference-header-content-length is larger than the body")
        text, blob = view[:json_bytes], view[json_bytes:]
    document = _document(plan, text)
    inputs = document.get("inputs")
    if type(inputs) is not list or len(inputs) != len(plan.inputs):
        raise _wrong_inputs(plan, inputs)
    parts: list[Any] = [None] * len(inputs)
    shapes: list[Any] = [None] * len(inputs)
    rows = -1
    offset = 0
    for tensor in inputs:
        try:
            spec_plan = plan.inputs_by_name[tensor["name"]]
        except (KeyError, TypeError):
            raise _wrong_inputs(plan, inputs) from None
        index = spec_plan.index
        if parts[index] is not None:
            raise InvalidRequest(f"input `{spec_plan.spec.name}` is given twice")
        sent = tensor.get("datatype")
        is_as_declared = sent == spec_plan.spec.datatype
        if not is_as_declared and not accepts(spec_plan.spec.datatype, sent):
            raise _wrong_datatype(spec_plan.spec, tensor)
        extent = spec_plan.extent(tensor.get("shape"))
        data = tensor.get("data")
        if data is not None:
            parts[index] = json_part(spec_plan, extent, data)
        else:
            as_sent = spec_plan if is_as_declared else sent_plan(spec_plan, sent)
            parts[index], offset = split_binary(as_sent, extent, tensor, blob, offset)
            if finite_only:
                check_finite(as_sent.spec, parts[index], extent)
            if not is_as_declared:
                parts[index] = widened(spec_plan, sent, parts[index], extent)
        shapes[index] = extent.row_shape
        if rows not in (-1, extent.rows):
            raise InvalidRequest(
                f"input `{spec_plan.spec.name}` has {extent.rows} rows, others {rows}"
            )
        rows = extent.rows
    if blob is not None and offset != len(blob):
        raise InvalidRequest(f"{len(blob) - offset} bytes of binary data belong to no input")
    decoded = Decoded(rows, parts, plan.fixed_key or tuple(shapes))
    if len(document) > 1:
        _read_rest(plan, document, decoded)
    return decoded


def _document(plan: Plan, text: bytes | memoryview) -> dict[str, Any]:
    if len(text) > _JSON_CHECK_BYTES and not any(p.spec.datatype == "BYTES" for p in plan.inputs):
        # Objects cost far more memory than numbers: a body of tiny tensors is refused unparsed.
        objects_max = 16 + 4 * (len(plan.inputs) + len(plan.output_index))
        if bytes(text).count(b"{") > objects_max:
            raise InvalidRequest(f"more than {objects_max} objects in the body")
    try:
        document = _loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if type(document) is not dict:
        raise InvalidRequest("the body must be a JSON object with `inputs`")
    return document


def _read_rest(plan: Plan, document: dict[str, Any], decoded: Decoded) -> None:
    request_id = document.get("id")
    if request_id is not None:
        if type(request_id) is not str or len(request_id) > 256:
            raise InvalidRequest("`id` must be a string of at most 256 characters")
        decoded.id = request_id
    parameters = document.get("parameters")
    binary = False
    if parameters is not None:
        if type(parameters) is not dict:
            raise InvalidRequest("`parameters` must be an object")
        decoded.parameters = parameters
        binary = parameters.get("binary_data_output") is True
    outputs = document.get("outputs")
    if outputs:
        decoded.wanted = wanted_outputs(plan, outputs, binary)
    elif outputs is not None and type(outputs) is not list:
        raise InvalidRequest("`outputs` must be a list")
    elif binary:
        decoded.wanted = [WantedOutput(i, True) for i in range(len(plan.output_index))]


def wanted_outputs(plan: Plan, outputs: Any, binary: bool) -> list[WantedOutput]:
    """Read the ``outputs`` of a request; ``binary`` is the default form."""
    if type(outputs) is not list:
        raise InvalidRequest("`outputs` must be a list")
    wanted: list[WantedOutput] = []
    for output in outputs:
        name = output.get("name") if type(output) is dict else None
        index = plan.output_index.get(name) if type(name) is str else None
        if index is None:
            known = ", ".join(plan.output_index)
            raise InvalidRequest(f"unknown output {name!r}; the model gives: {known}")
        if any(w.index == index for w in wanted):
            raise InvalidRequest(f"output `{name}` is asked for twice")
        parameters = output.get("parameters") or _NO_PARAMETERS
        if type(parameters) is not dict:
            raise InvalidRequest(f"output `{name}`: `parameters` must be an object")
        if "shared_memory_region" in parameters:
            raise InvalidRequest(f"output `{name}`: shared memory is not offered")
        if parameters.get("classification"):
            raise InvalidRequest(f"output `{name}`: the classification extension is not offered")
        wanted.append(WantedOutput(index, parameters.get("binary_data", binary) is True))
    return wanted


def json_part(plan: InputPlan, extent: Extent, data: Any) -> Part:
    """Turn JSON values, flat or nested, into wire bytes."""
    if type(data) is not list:
        raise InvalidRequest(f"input `{plan.spec.name}`: `data` must be a list")
    if data and type(data[0]) is list:
        data = _flatten(plan.spec, extent, data)
    if extent.pack is not None:
        try:
            return extent.pack(*data)
        except (struct.error, OverflowError, TypeError, ValueError):
            raise _wrong_values(plan.spec, extent, data) from None
    if len(data) != extent.count:
        raise _wrong_values(plan.spec, extent, data)
    return _slow_part(plan, extent, data)


def _slow_part(plan: InputPlan, extent: Extent, data: list[Any]) -> Part:
    datatype = plan.spec.datatype
    if datatype == "BYTES":
        try:
            # Tables bring bytes as they are; JSON has none.
            return [value if type(value) is bytes else value.encode() for value in data]
        except (AttributeError, UnicodeEncodeError):
            raise _wrong_values(plan.spec, extent, data) from None
    if datatype == "BOOL":
        try:
            packed = bytes(data)
        except (TypeError, ValueError):
            raise _wrong_values(plan.spec, extent, data) from None
        if packed.strip(b"\0\1"):
            raise _wrong_values(plan.spec, extent, data)
        return packed
    if not set(map(type, data)) <= _ACCEPTED[datatype]:
        raise _wrong_values(plan.spec, extent, data)
    try:
        with np.errstate(over="ignore"):
            array = np.array(data, dtype=plan.dtype)
    except (OverflowError, ValueError, TypeError):
        raise _wrong_values(plan.spec, extent, data) from None
    # JSON has no NaN: one here stands for a missing value and was let in on purpose.
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise _wrong_values(plan.spec, extent, data)
    if datatype == "BF16":
        return to_bfloat16(array)
    return array.tobytes()


_WHOLE = frozenset({int, bool})
_NUMBER = frozenset({int, float, bool})
_ACCEPTED = {
    name: _NUMBER if name in ("FP16", "BF16", "FP32", "FP64") else _WHOLE
    for name in ("FP16", "BF16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64")
    + ("UINT8", "UINT16", "UINT32", "UINT64")
}


def to_bfloat16(array: np.ndarray[Any, Any]) -> bytes:
    """The upper halves of float32 values, rounded to nearest even."""
    bits = np.ascontiguousarray(array, dtype="<f4").view("<u4")
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    # Rounding must not turn a NaN's payload into infinity.
    upper = np.where(np.isnan(array), (bits >> 16) | 0x40, rounded >> 16)
    return upper.astype("<u2").tobytes()


def _flatten(spec: TensorSpec, extent: Extent, data: list[Any]) -> list[Any]:
    shape = spec.shape
    flat: list[Any] = data
    for _ in range(len(shape) - 1):
        if not flat or not all(type(item) is list for item in flat):
            break
        width = len(flat[0])
        if any(len(item) != width for item in flat):
            raise InvalidRequest(f"input `{spec.name}`: nested `data` has rows of unequal length")
        flat = [value for item in flat for value in item]
    if len(flat) > extent.count:
        raise _wrong_values(spec, extent, flat)
    return flat


def _wrong_inputs(plan: Plan, inputs: Any) -> InvalidRequest:
    expected = ", ".join(f"`{name}`" for name in plan.inputs_by_name)
    if type(inputs) is not list:
        return InvalidRequest(f"`inputs` must be a list of tensors; the model takes {expected}")
    for tensor in inputs:
        if type(tensor) is not dict or type(tensor.get("name")) is not str:
            return InvalidRequest("each input must be an object with a `name`")
        if tensor["name"] not in plan.inputs_by_name:
            name = tensor["name"][:80]
            return InvalidRequest(f"unknown input `{name}`; the model takes {expected}")
    return InvalidRequest(f"the model takes {expected}; the request has {len(inputs)} inputs")


def _wrong_datatype(spec: TensorSpec, tensor: dict[str, Any]) -> InvalidRequest:
    got = tensor.get("datatype")
    if got is None:
        return InvalidRequest(f"input `{spec.name}`: `datatype` is missing")
    return InvalidRequest(f"input `{spec.name}`: expected {spec.datatype}, got {str(got)[:40]}")


def _wrong_values(spec: TensorSpec, extent: Extent, data: Sequence[Any]) -> InvalidRequest:
    if len(data) != extent.count:
        return InvalidRequest(
            f"input `{spec.name}`: the shape holds {extent.count} values, `data` has {len(data)}"
        )
    width = max(1, math.prod(extent.row_shape))
    position = first_misfit(spec.datatype, data)
    if position is not None:
        row = f"row {position // width} has " if extent.rows * width == len(data) else ""
        value = shown(data[position])
        return InvalidRequest(f"input `{spec.name}`: expected {spec.datatype}, {row}{value}")
    return InvalidRequest(f"input `{spec.name}`: values do not fit {spec.datatype}")


def shown(value: Any) -> str:
    """A client's value for an error message: short, and never deep."""
    if isinstance(value, list | dict):
        return "an array" if isinstance(value, list) else "an object"
    if value is None or type(value) is bool:
        return _JSON_WORDS[value]
    text = repr(value[:64] if isinstance(value, str) else value)
    return text if len(text) <= 60 else text[:57] + "..."


def first_misfit(datatype: str, values: Sequence[Any]) -> int | None:
    """The position of the first value that is not of the datatype."""
    return next((i for i, v in enumerate(values) if not _fits(datatype, v)), None)


_JSON_WORDS = {None: "null", True: "true", False: "false"}
FLOAT_MAX = {"FP16": 65504.0, "BF16": 3.3895313892515355e38, "FP32": 3.4028234663852886e38}


def _fits(datatype: str, value: Any) -> bool:
    if datatype == "BYTES":
        return type(value) in (str, bytes)
    if datatype == "BOOL":
        return type(value) is bool or (type(value) is int and value in (0, 1))
    if type(value) not in _ACCEPTED[datatype]:
        return False
    if datatype in ("FP16", "BF16", "FP32", "FP64"):
        return bool(abs(value) <= FLOAT_MAX.get(datatype, math.inf))
    info = np.iinfo(datatype.lower())
    return bool(info.min <= value <= info.max)
