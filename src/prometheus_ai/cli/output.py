"""What commands write: results to standard output, messages to standard error."""

import importlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from prometheus_ai.cli.progress import LiveProgress, PlainProgress, Progress

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}
_COLOUR_OF_STATE = {
    "ready": "green", "ok": "green", "serving": "green", "intact": "green",
    "deploying": "yellow", "degraded": "yellow", "starting": "yellow", "preparing": "yellow",
    "draining": "yellow", "deleting": "yellow", "unready": "yellow", "warn": "yellow",
    "down": "red", "failed": "red", "fail": "red", "stuck": "red", "exited": "red",
    "retired": "dim", "unknown": "dim",
}  # fmt: skip


def has_colour(stream: TextIO) -> bool:
    """Whether a stream shows colours: a terminal, and ``NO_COLOR`` is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Colour a text for a stream that shows colours."""
    if not has_colour(stream or sys.stdout):
        return text
    return f"\033[{_COLOURS[colour]}m{text}\033[0m"


def paint_state(state: str) -> str:
    """Colour a state by what it means; the word itself says the same."""
    colour = _COLOUR_OF_STATE.get(state)
    return paint(state, colour) if colour else state


def write(text: str = "") -> None:
    """Write a line of the result."""
    sys.stdout.write(text + "\n")


def write_line(text: str) -> None:
    """Write one of many lines, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Write a message that is not part of the result."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def write_json(value: Any) -> None:
    """Write the result as JSON."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def write_json_line(value: Any) -> None:
    """Write one of many results as a line of JSON, at once."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Write a table: drawn on a terminal, plain columns elsewhere."""
    if title:
        write(paint(title, "bold"))
    if has_colour(sys.stdout):
        # Loaded here because a piped command would pay for it and not use it.
        importlib.import_module("prometheus_ai.cli.rendering").draw_table(columns, rows)
        return
    widths = [
        max(len(name), *(len(row[index]) for row in rows)) if rows else len(name)
        for index, name in enumerate(columns)
    ]
    for row in (columns, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        write("  ".join(cells).rstrip())


def write_fields(fields: Mapping[str, Any]) -> None:
    """Write names and values, one pair a line."""
    width = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        write(f"{name.ljust(width)}  {value}".rstrip())


@contextmanager
def progress() -> Iterator[Progress]:
    """Yield a place for lines of progress: one changing line on a terminal, plain lines elsewhere."""
    shown: Progress = (
        LiveProgress(sys.stderr) if has_colour(sys.stderr) else PlainProgress(sys.stderr)
    )
    try:
        yield shown
    finally:
        shown.close()
