"""Simulations as pictures: one row of blocks for a terminal, and SVG for a page."""

from collections.abc import Sequence
from html import escape

from prometheus_ai.simulate.results import Row

_BLOCKS = " ▁▂▃▄▅▆▇█"
_COLOURS = ("#1f6feb", "#d9480f", "#2b8a3e", "#862e9c", "#5c5f66")
_WIDTH, _HEIGHT, _LEFT, _TOP, _FOOT = 860, 220, 56, 24, 30
POINTS_MAX = 400


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Return values as a row of blocks, the largest of each stretch standing for it."""
    if not values:
        return ""
    most = max(values) or 1.0
    return "".join(
        _BLOCKS[round(value / most * (len(_BLOCKS) - 1))] for value in _thinned(values, width)
    )


def page(title: str, rows: Sequence[Row], words: Sequence[str]) -> str:
    """Return a page of its own with a table and plots of replicas and of requests in flight."""
    cells = ("scaler", "requests", "misses", "p50_ms", "p95_ms", "p99_ms", "held", "starts",
             "replica_s", "replicas_max", "cost")  # fmt: skip
    head = "".join(f"<th>{escape(cell.replace('_', ' '))}</th>" for cell in cells)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_shown(getattr(row, cell)))}</td>" for cell in cells)
        + "</tr>" for row in rows
    )  # fmt: skip
    replicas = {row.scaler: [float(count) for _, count, _ in row.timeline] for row in rows}
    flight = {row.scaler: [load for _, _, load in row.timeline] for row in rows}
    span_s = max((row.timeline[-1][0] for row in rows if row.timeline), default=0.0)
    notes = "".join(f"<p>{escape(line)}</p>" for line in words)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:60rem;color:#1a1a1a}}
table{{border-collapse:collapse}}th,td{{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}}
th:first-child,td:first-child{{text-align:left}}svg{{width:100%;height:auto}}</style>
<h1>{escape(title)}</h1>{notes}<table><tr>{head}</tr>{body}</table>
<h2>Replicas</h2>{plot(replicas, span_s)}<h2>Requests in flight</h2>{plot(flight, span_s)}</html>
"""


def plot(lines: dict[str, list[float]], span_s: float) -> str:
    """Return lines over time as SVG, with a legend; all lines share both axes."""
    most = max((value for values in lines.values() for value in values), default=0.0) or 1.0
    head = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg"'
    parts = [f'{head} font-family="system-ui,sans-serif" font-size="12">']
    bottom = _HEIGHT - _FOOT
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - _TOP)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{most * share:.3g}</text>'
        )
    for number, (name, values) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = _points(_thinned(values, POINTS_MAX), most, bottom)
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>'
            f'<text x="{_LEFT + 8 + 160 * number}" y="14" fill="{colour}">{escape(name)}</text>'
        )
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 10}">0 s</text>')
    parts.append(
        f'<text x="{_WIDTH}" y="{_HEIGHT - 10}" text-anchor="end">{span_s:.0f} s</text></svg>'
    )
    return "".join(parts)


def _points(values: Sequence[float], most: float, bottom: float) -> str:
    step = (_WIDTH - _LEFT) / max(1, len(values) - 1)
    return " ".join(
        f"{_LEFT + index * step:.1f},{bottom - value / most * (bottom - _TOP):.1f}"
        for index, value in enumerate(values)
    )


def _thinned(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    return [
        max(values[index * len(values) // width : max(1, (index + 1) * len(values) // width)])
        for index in range(width)
    ]


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
