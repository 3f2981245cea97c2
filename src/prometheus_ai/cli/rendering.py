"""Tables for terminals."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

NUMBERS = frozenset({"replicas", "requests", "errors", "p50", "p95", "p99", "traffic", "size"})


def draw_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Draw a table that fits the terminal; cells may carry ANSI colours."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for name in columns:
        table.add_column(name, justify="right" if name.lower() in NUMBERS else "left")
    for row in rows:
        table.add_row(*(Text.from_ansi(cell) for cell in row))
    Console().print(table)
