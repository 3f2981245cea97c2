"""What an answer says, in a few values: a label or a score for each row."""

from typing import Any

ROWS_MAX = 64
_LABEL = "label"
_TEXT_MAX = 64

Label = str | int | float | bool


def outputs_of(document: Any) -> Any:
    """Return what may be compared between two releases: an answer without names and ids."""
    if isinstance(document, dict) and isinstance(document.get("outputs"), list):
        return document["outputs"]
    return document


def labels_of(document: Any) -> list[Label] | None:
    """Return one value for each row of a decoded answer: its label, or the place of its largest score.

    None where the answer has too many rows, or nothing that a label could be told from.
    """
    if isinstance(document, dict) and isinstance(document.get("outputs"), list):
        return _of_tensors(document["outputs"])
    if isinstance(document, dict) and isinstance(document.get("rows"), list):
        document = document["rows"]
    rows = document if isinstance(document, list) else [document]
    if not 0 < len(rows) <= ROWS_MAX:
        return None
    found = [_of_row(row) for row in rows]
    return None if any(label is None for label in found) else [x for x in found if x is not None]


def _of_tensors(outputs: list[Any]) -> list[Label] | None:
    chosen = next((o for o in outputs if isinstance(o, dict) and o.get("name") == _LABEL), None)
    if chosen is None:
        chosen = outputs[0] if outputs and isinstance(outputs[0], dict) else {}
    shape, data = chosen.get("shape"), chosen.get("data")
    if not isinstance(shape, list) or not shape or not isinstance(data, list):
        return None
    rows = shape[0]
    values = _flat(data)
    if not 0 < rows <= ROWS_MAX or len(values) % rows or not values:
        return None
    width = len(values) // rows
    found = [_one(values[row * width : (row + 1) * width]) for row in range(rows)]
    return None if any(label is None for label in found) else [x for x in found if x is not None]


def _of_row(row: Any) -> Label | None:
    if isinstance(row, dict):
        if not row:
            return None
        row = row[_LABEL] if _LABEL in row else next(iter(row.values()))
    return _one(_flat(row) if isinstance(row, list) else [row])


def _one(values: list[Any]) -> Label | None:
    if len(values) == 1:
        value = values[0]
        if isinstance(value, str):
            return value[:_TEXT_MAX]
        return value if isinstance(value, int | float) else None
    if not all(isinstance(value, int | float) for value in values):
        return None
    return max(range(len(values)), key=values.__getitem__)


def _flat(values: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for value in values:
        if isinstance(value, list):
            flat.extend(_flat(value))
        else:
            flat.append(value)
    return flat
