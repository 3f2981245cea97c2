"""Answers for people: outputs as rows, in the kind of the request."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from prometheus_ai_runtime.batching.work import BatchResult
from prometheus_ai_runtime.people.tables import parquet_of
from prometheus_ai_runtime.signature import TensorSpec
from prometheus_ai_runtime.tensors.encode import text_of

_NUMPY = orjson.OPT_SERIALIZE_NUMPY


def json_rows(
    specs: Sequence[TensorSpec], result: BatchResult, first_row: int, rows: int
) -> list[list[bytes]]:
    """Each row's outputs as JSON text, in the signature's order."""
    columns = []
    for index in range(len(specs)):
        array = result.slice_of(index, first_row, rows)
        if not result.batched:
            array = array.reshape(1, *array.shape)
        inner = result.json_rows(index)[first_row : first_row + rows]
        if array.ndim == 1:
            columns.append(inner)
        elif array.ndim == 2:
            columns.append([b"[" + text + b"]" for text in inner])
        else:
            columns.append([_dumped(row) for row in array])
    return [list(row) for row in zip(*columns, strict=True)]


def objects(specs: Sequence[TensorSpec], rows: list[list[bytes]]) -> list[bytes]:
    """Rows as JSON objects."""
    names = [orjson.dumps(s.name) + b":" for s in specs]
    return [
        b"{" + b",".join([n + v for n, v in zip(names, row, strict=True)]) + b"}" for row in rows
    ]


def arrays(rows: list[list[bytes]]) -> list[bytes]:
    """Rows as JSON arrays; a single output stands alone."""
    if rows and len(rows[0]) == 1:
        return [row[0] for row in rows]
    return [b"[" + b",".join(row) + b"]" for row in rows]


def as_csv(specs: Sequence[TensorSpec], result: BatchResult, first_row: int, rows: int) -> bytes:
    """A table with a header; the values of an array output become numbered columns."""
    header: list[str] = []
    columns: list[list[str]] = []
    for index, spec in enumerate(specs):
        flat = result.slice_of(index, first_row, rows).reshape(rows, -1)
        width = flat.shape[1]
        single = width == 1
        header += [spec.name if single else f"{spec.name}_{i}" for i in range(width)]
        columns += [[_cell(v) for v in flat[:, i]] for i in range(width)]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode()


def as_parquet(
    specs: Sequence[TensorSpec], result: BatchResult, first_row: int, rows: int
) -> bytes:
    """A Parquet table; array outputs are list columns."""
    columns: dict[str, Any] = {}
    for index, spec in enumerate(specs):
        array = result.slice_of(index, first_row, rows)
        if array.dtype.kind == "O":
            columns[spec.name] = [text_of(v) for v in array.reshape(-1)]
        else:
            columns[spec.name] = array if array.ndim == 1 else list(array.reshape(rows, -1))
    return parquet_of(columns)


def rows_of_piece(specs: Sequence[TensorSpec], outputs: list[NDArray[Any]]) -> bytes:
    """One piece of a streamed answer: an object for one row, a list of them for more."""
    rows = len(outputs[0]) if outputs and outputs[0].ndim else 1
    names = [s.name for s in specs]
    listed = []
    for row in range(rows):
        values = [_plain(a[row] if a.ndim else a[()]) for a in outputs]
        listed.append(dict(zip(names, values, strict=True)))
    return orjson.dumps(listed[0] if rows == 1 else listed, option=_NUMPY)


def _dumped(row: NDArray[Any]) -> bytes:
    return orjson.dumps(_plain(row), option=_NUMPY)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "O":
            return [_plain(v) for v in value]
        return np.ascontiguousarray(value)
    if isinstance(value, bytes | str):
        return text_of(value)
    # A float keeps its own width, so that 0.1 is not written with the digits of a double.
    return value if isinstance(value, np.floating) else value.item()


def _cell(value: Any) -> str:
    if isinstance(value, bytes | str):
        return text_of(value)
    if isinstance(value, np.bool_):
        return "true" if value else "false"
    text = str(value)
    return "" if text == "nan" else text
