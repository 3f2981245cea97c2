"""Answers as values with attributes, which notebooks show as tables."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

CELL_LEN_MAX = 80


class Record(dict[str, Any]):
    """A JSON object whose fields are attributes too: ``release.version``."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            known = ", ".join(self) or "none"
            raise AttributeError(f"no field {name!r}; fields: {known}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td>{_cell(value)}</td></tr>"
            for name, value in self.items()
        )
        return f"<table>{rows}</table>"


class Records(list[Record]):
    """A list of records: a table with one row each."""

    def _repr_html_(self) -> str:
        names = list(dict.fromkeys(name for record in self for name in record))
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        rows = "".join(
            "<tr>" + "".join(f"<td>{_cell(record.get(name))}</td>" for name in names) + "</tr>"
            for record in self
        )
        return f"<table><tr>{head}</tr>{rows}</table>"


def record(values: Mapping[str, Any]) -> Record:
    """Wrap a decoded JSON object, and the objects inside it."""
    return Record({name: _wrap(value) for name, value in values.items()})


def records(values: Iterable[Mapping[str, Any]]) -> Records:
    """Wrap a decoded list of JSON objects."""
    return Records(record(value) for value in values)


def _wrap(value: Any) -> Any:
    if isinstance(value, dict):
        return record(value)
    if isinstance(value, list):
        return records(value) if value and all(isinstance(item, dict) for item in value) else value
    return value


def _cell(value: Any) -> str:
    if isinstance(value, Record | Records):
        return value._repr_html_()
    text = "" if value is None else str(value)
    return escape(text if len(text) <= CELL_LEN_MAX else text[: CELL_LEN_MAX - 1] + "…")
