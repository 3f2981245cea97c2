"""Inference requests: a protocol message enters, checked raw tensors leave."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prometheus_ai_runtime.errors import InvalidRequest
from prometheus_ai_runtime.grpc.wire import (
    FIXED32,
    FIXED64,
    SIZED,
    VARINT,
    Field,
    fields,
    packed_varints,
    read_text,
    read_varint,
    signed,
    sized,
)
from prometheus_ai_runtime.http2.status import Malformed
from prometheus_ai_runtime.tensors.binary import check_finite, checked_raw
from prometheus_ai_runtime.tensors.decode import Part
from prometheus_ai_runtime.tensors.plan import Extent, InputPlan, Plan, ShapeKey
from prometheus_ai_runtime.tensors.widen import accepts, sent_plan, widened

Span = tuple[int, int]

_TENSORS_MAX = 1024
_UNPACKED_MAX = 65_536
_ID_BYTES_MAX = 256
_NDIM_MAX = 16
_RAW_FIELD = 7
_RAW_TAG = _RAW_FIELD << 3 | SIZED
_ID_TAG = 3 << 3 | SIZED
_INPUT_TAG = 5 << 3 | SIZED
_CONTENTS_FIELD = {
    "BOOL": 1,
    "INT8": 2,
    "INT16": 2,
    "INT32": 2,
    "INT64": 3,
    "UINT8": 4,
    "UINT16": 4,
    "UINT32": 4,
    "UINT64": 5,
    "FP32": 6,
    "FP64": 7,
    "BYTES": 8,
}
"""The field of InferTensorContents that carries a datatype; the others exist only raw."""


@dataclass(slots=True)
class InputHead:
    """One input of a request before its values."""

    name: str = ""
    datatype: str = ""
    shape: tuple[int, ...] = ()
    contents: Span | None = None


@dataclass(slots=True)
class Envelope:
    """A request but for its raw values; the same bytes mean the same envelope."""

    model: str = ""
    version: str = ""
    id: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: list[InputHead] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Layout:
    """An envelope checked against a model's plan."""

    envelope: Envelope
    plans: list[tuple[InputPlan, Extent]]
    """For each input as sent; ``order`` says where the plan has it."""
    rows: int
    row_shapes: ShapeKey
    wanted: tuple[int, ...]
    """Indexes of the outputs to answer with."""
    typed: bool
    """Whether values are in ``contents`` and not raw; the answer follows suit."""
    widening: dict[int, InputPlan]
    """By input position: what was declared, where another datatype was sent and can be widened."""


@dataclass(slots=True)
class Split:
    """A message taken apart into envelope, request id and raw values."""

    message: bytes
    """The message with its fields in order, raw values last."""
    key: tuple[bytes, bytes]
    """The envelope without the request id: equal keys mean equal layouts."""
    id_span: Span
    raw_at: int

    def request_id(self) -> str:
        """The request id."""
        return read_text(self.message, *self.id_span)


def split(message: bytes) -> Split:
    """Find the parts of a message without reading them."""
    position, end = 0, len(message)
    id_begin = id_from = id_end = 0
    has_input = False
    while position < end:
        tag = message[position]
        if tag == _RAW_TAG and has_input:
            break
        begin = position
        if tag & 7 != SIZED or tag >= _RAW_TAG:
            ordered = _in_order(message)
            if ordered == message:
                break
            return split(ordered)
        length, position = read_varint(message, position + 1)
        has_input = has_input or tag == _INPUT_TAG
        if tag == _ID_TAG:
            id_begin, id_from, id_end = begin, position, position + length
        position += length
    if position > end:
        raise Malformed("the message is cut short")
    key = (message[:id_begin], message[id_end:position])
    return Split(message=message, key=key, id_span=(id_from, id_end), raw_at=position)


def _in_order(message: bytes) -> bytes:
    """Put the known fields first and raw values last, as nearly every client sends them."""
    known: list[bytes] = []
    raw: list[bytes] = []
    for number, kind, _, begin, end in fields(message, 0, len(message)):
        if kind == SIZED and 1 <= number <= _RAW_FIELD:
            (raw if number == _RAW_FIELD else known).append(sized(number, message[begin:end]))
    return b"".join(known + raw)


def read_envelope(data: bytes) -> Envelope:
    """Read everything but raw values; raises Malformed or InvalidRequest."""
    envelope = Envelope()
    for number, kind, _, start, end in fields(data, 0, len(data)):
        if kind != SIZED:
            continue
        if number == 1:
            envelope.model = read_text(data, start, end)
        elif number == 2:
            envelope.version = read_text(data, start, end)
        elif number == 3:
            envelope.id = read_text(data, start, end)
        elif number == 4:
            name, value = _read_parameter(data, start, end)
            envelope.parameters[name] = value
        elif number == 5:
            envelope.inputs.append(_read_input(data, start, end))
        elif number == 6:
            envelope.outputs.append(_read_output(data, start, end))
        if len(envelope.inputs) + len(envelope.outputs) + len(envelope.parameters) > _TENSORS_MAX:
            raise InvalidRequest(f"more than {_TENSORS_MAX} tensors and parameters")
    if len(envelope.id) > _ID_BYTES_MAX:
        raise InvalidRequest("`id` must be a string of at most 256 characters")
    return envelope


def layout_of(envelope: Envelope, plan: Plan) -> Layout:
    """Check an envelope against a model; the text of InvalidRequest names the input."""
    expected = ", ".join(f"`{name}`" for name in plan.inputs_by_name)
    if len(envelope.inputs) != len(plan.inputs):
        count = len(envelope.inputs)
        raise InvalidRequest(f"the model takes {expected}; the request has {count} inputs")
    plans: list[tuple[InputPlan, Extent]] = []
    widening: dict[int, InputPlan] = {}
    shapes: list[Any] = [None] * len(plan.inputs)
    rows = -1
    for given in envelope.inputs:
        input_plan = plan.inputs_by_name.get(given.name)
        if input_plan is None:
            raise InvalidRequest(f"unknown input `{given.name[:80]}`; the model takes {expected}")
        if shapes[input_plan.index] is not None:
            raise InvalidRequest(f"input `{given.name}` is given twice")
        as_sent = input_plan
        if given.datatype != input_plan.spec.datatype:
            as_sent = _as_sent(given, input_plan)
            widening[input_plan.index] = input_plan
        extent = input_plan.extent(given.shape)
        if rows not in (-1, extent.rows):
            raise InvalidRequest(f"input `{given.name}` has {extent.rows} rows, others {rows}")
        rows = extent.rows
        shapes[input_plan.index] = extent.row_shape
        plans.append((as_sent, extent))
    return Layout(
        envelope=envelope,
        plans=plans,
        rows=rows,
        row_shapes=tuple(shapes),
        wanted=_wanted(envelope, plan),
        typed=any(given.contents is not None for given in envelope.inputs),
        widening=widening,
    )


def _as_sent(given: InputHead, plan: InputPlan) -> InputPlan:
    if not accepts(plan.spec.datatype, given.datatype):
        raise InvalidRequest(
            f"input `{given.name}`: expected {plan.spec.datatype}, "
            f"got {given.datatype[:40] or 'no datatype'}"
        )
    return sent_plan(plan, given.datatype)


def read_raw(data: bytes, position: int, layout: Layout, finite_only: bool) -> list[Part]:
    """Take the raw values that begin at ``position``, one for each input as sent."""
    parts: list[Any] = [None] * len(layout.plans)
    view = memoryview(data)
    end = len(data)
    for input_plan, extent in layout.plans:
        if position >= end or data[position] != _RAW_TAG:
            raise _wrong_count(data, layout)
        length, position = read_varint(data, position + 1)
        stop = position + length
        if stop > end:
            raise Malformed("raw values run past the end of the message")
        part = checked_raw(input_plan, extent, view[position:stop])
        if finite_only:
            check_finite(input_plan.spec, part, extent)
        parts[input_plan.index] = part
        position = stop
    if position != end:
        raise _wrong_count(data, layout)
    return _as_declared(parts, layout) if layout.widening else parts


def read_typed(data: bytes, layout: Layout, finite_only: bool) -> list[Part]:
    """Take the values in the inputs' ``contents``."""
    parts: list[Any] = [None] * len(layout.plans)
    for given, (input_plan, extent) in zip(layout.envelope.inputs, layout.plans, strict=True):
        part = _typed_part(data, given, input_plan, extent)
        if finite_only:
            checked = memoryview(part) if isinstance(part, bytes | bytearray) else part
            check_finite(input_plan.spec, checked, extent)
        parts[input_plan.index] = part
    return _as_declared(parts, layout) if layout.widening else parts


def _as_declared(parts: list[Any], layout: Layout) -> list[Part]:
    for sent, extent in layout.plans:
        declared = layout.widening.get(sent.index)
        if declared is not None:
            parts[sent.index] = widened(declared, sent.spec.datatype, parts[sent.index], extent)
    return parts


def _wanted(envelope: Envelope, plan: Plan) -> tuple[int, ...]:
    if not envelope.outputs:
        return tuple(range(len(plan.output_index)))
    wanted = []
    for name in envelope.outputs:
        index = plan.output_index.get(name)
        if index is None:
            known = ", ".join(plan.output_index)
            raise InvalidRequest(f"unknown output `{name[:80]}`; the model gives: {known}")
        if index in wanted:
            raise InvalidRequest(f"output `{name}` is asked for twice")
        wanted.append(index)
    return tuple(wanted)


def _wrong_count(data: bytes, layout: Layout) -> InvalidRequest:
    count = sum(number == 7 for number, *_ in fields(data, 0, len(data)))
    return InvalidRequest(
        f"{len(layout.plans)} inputs have {count} raw values; each input must have one, "
        "all raw or all typed"
    )


def _read_input(data: bytes, start: int, end: int) -> InputHead:
    head = InputHead()
    shape: list[int] = []
    for number, kind, value, begin, stop in fields(data, start, end):
        if number == 1 and kind == SIZED:
            head.name = read_text(data, begin, stop)
        elif number == 2 and kind == SIZED:
            head.datatype = read_text(data, begin, stop)
        elif number == 3 and kind == SIZED:
            shape.extend(signed(int(dim)) for dim in packed_varints(data, begin, stop))
        elif number == 3 and kind == VARINT:
            shape.append(signed(value))
        elif number == 5 and kind == SIZED:
            head.contents = (begin, stop)
        if len(shape) > _NDIM_MAX:
            raise InvalidRequest(f"input `{head.name[:80]}`: more than {_NDIM_MAX} dimensions")
    head.shape = tuple(shape)
    return head


def _read_output(data: bytes, start: int, end: int) -> str:
    name = ""
    for number, kind, _, begin, stop in fields(data, start, end):
        if number == 1 and kind == SIZED:
            name = read_text(data, begin, stop)
        elif number == 2 and kind == SIZED:
            parameter, value = _read_parameter(data, begin, stop)
            if parameter == "classification" and value:
                raise InvalidRequest(
                    f"output `{name}`: the classification extension is not offered"
                )
            if parameter.startswith("shared_memory"):
                raise InvalidRequest(f"output `{name}`: shared memory is not offered")
    return name


def _read_parameter(data: bytes, start: int, end: int) -> tuple[str, Any]:
    name, value = "", None
    for number, kind, _, begin, stop in fields(data, start, end):
        if kind != SIZED:
            continue
        if number == 1:
            name = read_text(data, begin, stop)
        elif number == 2:
            for each in fields(data, begin, stop):
                value = _read_choice(data, each)
    return name, value


def _read_choice(data: bytes, choice: Field) -> Any:
    number, kind, value, begin, stop = choice
    if kind == VARINT:
        if number == 1:
            return bool(value)
        return signed(value) if number == 2 else value
    if number == 3 and kind == SIZED:
        return read_text(data, begin, stop)
    if number == 4 and kind == FIXED64:
        return float(np.frombuffer(data, "<f8", 1, begin)[0])
    return None


def _typed_part(data: bytes, given: InputHead, plan: InputPlan, extent: Extent) -> Part:
    name, datatype = plan.spec.name, plan.spec.datatype
    wanted = _CONTENTS_FIELD.get(datatype)
    if wanted is None:
        raise InvalidRequest(f"input `{name}`: {datatype} values must be sent raw")
    if given.contents is None:
        if extent.count:
            raise InvalidRequest(f"input `{name}` has no values; send them raw or in `contents`")
        return [] if datatype == "BYTES" else b""
    found = []
    for each in fields(data, *given.contents):
        if each[0] != wanted:
            raise InvalidRequest(f"input `{name}`: expected {datatype} values, got others")
        found.append(each)
        if len(found) > max(_UNPACKED_MAX, extent.count if datatype == "BYTES" else 0):
            raise InvalidRequest(f"input `{name}`: more values than its shape holds")
    if datatype == "BYTES":
        part: Part = [data[begin:stop] for _, _, _, begin, stop in found]
        count = len(part)
    else:
        part = b"".join(_READERS[datatype](data, each) for each in found)
        count = len(part) // plan.item_bytes
    if count != extent.count:
        raise InvalidRequest(
            f"input `{name}`: the shape holds {extent.count} values, `contents` has {count}"
        )
    return part


def _read_numbers(datatype: str) -> Callable[[bytes, Field], bytes]:
    """A reader of one packed or single field of whole numbers, as the datatype's wire bytes."""
    target = np.dtype(np.bool_ if datatype == "BOOL" else datatype.lower())
    is_signed = datatype.startswith("INT")

    def read(data: bytes, piece: Field) -> bytes:
        _, kind, value, begin, stop = piece
        if kind == SIZED:
            values = packed_varints(data, begin, stop)
        elif kind == VARINT:
            values = np.array([value], np.uint64)
        else:
            raise Malformed("whole numbers of another kind")
        wide = values.view(np.int64) if is_signed else values
        narrow = (wide != 0) if datatype == "BOOL" else wide.astype(target)
        if datatype != "BOOL" and not np.array_equal(narrow, wide):
            raise InvalidRequest(f"a value does not fit {datatype}")
        return narrow.tobytes()

    return read


def _read_floats(kind_of_one: int, item_bytes: int) -> Callable[[bytes, Field], bytes]:
    def read(data: bytes, piece: Field) -> bytes:
        _, kind, _, begin, stop = piece
        if kind not in (SIZED, kind_of_one) or (stop - begin) % item_bytes:
            raise Malformed("floating-point values of another size")
        return data[begin:stop]

    return read


_READERS: dict[str, Callable[[bytes, Field], bytes]] = {
    "FP32": _read_floats(FIXED32, 4),
    "FP64": _read_floats(FIXED64, 8),
    **{
        name: _read_numbers(name)
        for name in _CONTENTS_FIELD
        if name not in ("FP32", "FP64", "BYTES")
    },
}
