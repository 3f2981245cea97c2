"""How rows map to a model's inputs: one named column an input, or one input of many features."""

import math
from dataclasses import dataclass
from typing import Any

from prometheus_ai_runtime.errors import InvalidRequest
from prometheus_ai_runtime.signature import TensorSpec
from prometheus_ai_runtime.tensors.binary import check_finite
from prometheus_ai_runtime.tensors.decode import Decoded, Part, first_misfit, json_part, shown
from prometheus_ai_runtime.tensors.plan import Extent, InputPlan, Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One value of a row, as people name it."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    """The shape of one row's value; empty for a scalar."""


def columns_of(plan: Plan) -> tuple[Column, ...]:
    """The columns of a row, in order."""
    spread = _spread(plan)
    if spread is not None:
        spec, names = spread
        return tuple(Column(name=n, datatype=spec.datatype, shape=()) for n in names)
    return tuple(
        Column(name=p.spec.name, datatype=p.spec.datatype, shape=_row_shape(p.spec, plan.batched))
        for p in plan.inputs
    )


def decode_rows(plan: Plan, rows: list[Any], missing_is_nan: bool) -> Decoded:
    """Turn rows (objects or arrays) into raw tensors.

    Raises InvalidRequest that names the input and the row.
    """
    if not rows:
        raise InvalidRequest("there are no rows")
    columns = columns_of(plan)
    table = [_cells(columns, row, number) for number, row in enumerate(rows)]
    if missing_is_nan:
        table = [[_nan_for_none(c, v) for c, v in zip(columns, row, strict=True)] for row in table]
    if _spread(plan) is not None:
        return _spread_rows(plan, columns, table, finite_only=not missing_is_nan)
    parts, shapes = [], []
    for position, input_plan in enumerate(plan.inputs):
        values = [row[position] for row in table]
        part, shape = _column_part(plan, input_plan, values, finite_only=not missing_is_nan)
        parts.append(part)
        shapes.append(shape)
    return Decoded(len(rows) if plan.batched else 1, parts, tuple(shapes))


def _spread(plan: Plan) -> tuple[TensorSpec, tuple[str, ...]] | None:
    """The one input whose features are columns of their own, with their names."""
    if len(plan.inputs) != 1 or not plan.batched:
        return None
    spec = plan.inputs[0].spec
    if len(spec.shape) != 2 or spec.shape[1] < 1:
        return None
    names = plan.signature.columns or tuple(f"f{i}" for i in range(spec.shape[1]))
    return (spec, names) if len(names) == spec.shape[1] else None


def _row_shape(spec: TensorSpec, batched: bool) -> tuple[int, ...]:
    shape = spec.shape[1:] if batched else spec.shape
    return () if shape == (1,) else shape


def _cells(columns: tuple[Column, ...], row: Any, number: int) -> list[Any]:
    if type(row) is dict:
        if len(row) == len(columns) and all(c.name in row for c in columns):
            return [row[c.name] for c in columns]
        missing = [c.name for c in columns if c.name not in row]
        if missing:
            raise InvalidRequest(f"row {number} has no `{missing[0]}`")
        known = {c.name for c in columns}
        extra = next(name for name in row if name not in known)
        raise InvalidRequest(f"row {number} has an unknown `{extra[:80]}`")
    if type(row) is list:
        if len(columns) == 1 and columns[0].shape and len(row) != 1:
            return [row]
        if len(row) == len(columns):
            return row
        raise InvalidRequest(f"row {number} has {len(row)} values, expected {len(columns)}")
    if len(columns) == 1:
        return [row]
    raise InvalidRequest(f"row {number} must be an object or an array of {len(columns)} values")


def _nan_for_none(column: Column, value: Any) -> Any:
    floats = column.datatype in ("FP16", "BF16", "FP32", "FP64")
    return float("nan") if value is None and floats and not column.shape else value


def _spread_rows(
    plan: Plan, columns: tuple[Column, ...], table: list[list[Any]], *, finite_only: bool
) -> Decoded:
    input_plan = plan.inputs[0]
    extent = input_plan.extent((len(table), len(columns)))
    flat = [value for row in table for value in row]
    try:
        part = json_part(input_plan, extent, flat)
    except InvalidRequest:
        position = first_misfit(input_plan.spec.datatype, flat)
        if position is None:
            raise
        row, column = divmod(position, len(columns))
        raise _misfit(columns[column].name, columns[column].datatype, row, flat[position]) from None
    if finite_only and (position := _not_finite(input_plan, part, extent, flat)) is not None:
        row, column = divmod(position, len(columns))
        expected = f"finite {columns[column].datatype}"
        raise _misfit(columns[column].name, expected, row, flat[position])
    return Decoded(len(table), [part], (extent.row_shape,))


def _column_part(
    plan: Plan, input_plan: InputPlan, values: list[Any], *, finite_only: bool
) -> tuple[Any, tuple[int, ...]]:
    spec = input_plan.spec
    own = spec.shape[1:] if plan.batched else spec.shape
    flat: list[Any] = values
    inner: list[int] = []
    if len(own) > 1 or (own and own != (1,)):
        for size in own:
            flat, found = _opened(spec, flat)
            if size not in (-1, found):
                raise InvalidRequest(f"input `{spec.name}`: expected rows of {size}, got {found}")
            inner.append(found)
    elif own:
        inner = [1]
    if not plan.batched and len(values) != 1:
        raise InvalidRequest("this model takes one row a request")
    shape = (len(values), *inner) if plan.batched else tuple(inner)
    extent = input_plan.extent(shape)
    try:
        part = json_part(input_plan, extent, flat)
    except InvalidRequest:
        position = first_misfit(spec.datatype, flat)
        if position is None:
            raise
        row = position * len(values) // max(1, len(flat))
        raise _misfit(spec.name, spec.datatype, row, flat[position]) from None
    if finite_only and (position := _not_finite(input_plan, part, extent, flat)) is not None:
        row = position * len(values) // max(1, len(flat))
        raise _misfit(spec.name, f"finite {spec.datatype}", row, flat[position])
    return part, extent.row_shape


def _not_finite(plan: InputPlan, part: Part, extent: Extent, flat: list[Any]) -> int | None:
    """The place of the first NaN or infinity: JSON has neither, but tables do."""
    raw = part if isinstance(part, list) else memoryview(part)
    try:
        check_finite(plan.spec, raw, extent)
    except InvalidRequest:
        return next((i for i, v in enumerate(flat) if not math.isfinite(v)), None)
    return None


def _opened(spec: TensorSpec, values: list[Any]) -> tuple[list[Any], int]:
    """One level of nesting less, and its width."""
    for number, value in enumerate(values):
        if type(value) is not list:
            raise _misfit(spec.name, f"an array of {spec.datatype}", number, value)
    width = len(values[0])
    for number, value in enumerate(values):
        if len(value) != width:
            raise InvalidRequest(
                f"input `{spec.name}`: row {number} has {len(value)} values, row 0 has {width}"
            )
    return [item for value in values for item in value], width


def _misfit(name: str, expected: str, row: int, value: Any) -> InvalidRequest:
    return InvalidRequest(f"input `{name}`: expected {expected}, row {row} has {shown(value)}")
