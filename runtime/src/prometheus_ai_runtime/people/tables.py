"""CSV and Parquet: bytes of a table enter, rows leave."""

import csv
import io
from typing import Any

from prometheus_ai_runtime.errors import InvalidRequest, RequestError, TooLarge
from prometheus_ai_runtime.optional import load_optional
from prometheus_ai_runtime.people.columns import Column

_WHOLE = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
_TRUE = ("true", "1", "yes")
_FALSE = ("false", "0", "no")


class UnsupportedKind(RequestError):
    """A content type that this server cannot read."""

    code = "unsupported"


def rows_from_csv(body: bytes | memoryview, columns: tuple[Column, ...]) -> list[list[Any]]:
    """Read CSV; a first line of the columns' names may put them in another order."""
    if any(c.shape for c in columns):
        name = next(c.name for c in columns if c.shape)
        raise InvalidRequest(f"input `{name}` is an array and has no place in CSV; send JSON")
    try:
        lines = [r for r in csv.reader(io.StringIO(str(body, "utf-8-sig"), newline="")) if r]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(f"the body is not CSV in UTF-8: {error}") from None
    if not lines:
        raise InvalidRequest("there are no rows")
    order = list(range(len(columns)))
    names = [cell.strip() for cell in lines[0]]
    if any(n in {c.name for c in columns} for n in names):
        missing = [c.name for c in columns if c.name not in names]
        if missing:
            raise InvalidRequest(f"the CSV has no column `{missing[0]}`")
        doubled = [c.name for c in columns if names.count(c.name) > 1]
        if doubled:
            raise InvalidRequest(f"the CSV has two columns `{doubled[0]}`")
        order = [names.index(c.name) for c in columns]
        lines = lines[1:]
        width = len(names)
    else:
        width = len(columns)
    rows = []
    for number, line in enumerate(lines):
        if len(line) != width:
            raise InvalidRequest(f"row {number} has {len(line)} values, expected {width}")
        rows.append([_cell(c, line[i]) for c, i in zip(columns, order, strict=True)])
    return rows


def rows_from_parquet(
    body: bytes | memoryview, columns: tuple[Column, ...], bytes_max: int
) -> list[list[Any]]:
    """Read Parquet; columns are matched by name."""
    pyarrow = _pyarrow()
    parquet = load_optional("pyarrow.parquet")
    try:
        file = parquet.ParquetFile(pyarrow.BufferReader(body))
        groups = range(file.metadata.num_row_groups)
        size = sum(file.metadata.row_group(i).total_byte_size for i in groups)
        # Compression can hide gigabytes in a small body; the file says how much it holds.
        if size > bytes_max:
            raise TooLarge(f"the Parquet table holds {size} bytes, more than {bytes_max}")
        missing = [c.name for c in columns if c.name not in file.schema_arrow.names]
        if missing:
            raise InvalidRequest(f"the Parquet table has no column `{missing[0]}`")
        table = file.read(columns=[c.name for c in columns])
    except pyarrow.ArrowException as error:
        raise InvalidRequest(f"the body is not Parquet: {error}") from None
    data = [table.column(c.name).to_pylist() for c in columns]
    return [list(row) for row in zip(*data, strict=True)]


def parquet_of(columns: dict[str, Any]) -> bytes:
    """Write columns as Parquet."""
    pyarrow = _pyarrow()
    parquet = load_optional("pyarrow.parquet")
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(columns), sink)
    return bytes(sink.getvalue().to_pybytes())


def _pyarrow() -> Any:
    try:
        return load_optional("pyarrow")
    except ImportError:
        raise UnsupportedKind(
            "Parquet needs pyarrow on the server; run: pip install 'prometheus-ai-runtime[tables]'"
        ) from None


def _cell(column: Column, text: str) -> Any:
    """A CSV cell as a value of the column's datatype, or the text itself to be complained about."""
    kind = column.datatype
    if kind == "BYTES":
        return text
    text = text.strip()
    if text == "":
        return None
    try:
        if kind in _WHOLE:
            return int(text)
        if kind == "BOOL":
            lower = text.lower()
            return True if lower in _TRUE else False if lower in _FALSE else text
        return float(text)
    except ValueError:
        return text
