"""Plots as inline SVG: lines stretch with the page, and every word stays readable text beside them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape

WIDTH, HEIGHT = 1000.0, 240.0
"""Of the drawing; it is stretched to the room that the page gives it."""
TICKS_TIME = 5

Point = tuple[datetime, float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a plot; a value of None is a gap."""

    name: str
    style: str
    """A class of the page: ``old``, ``new``, ``safe`` or ``harm``, with ``thin`` for a lesser one."""
    points: Sequence[Point]
    is_stepped: bool = False
    is_filled: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """What is drawn over one stretch of time."""

    title: str
    unit: str
    lines: Sequence[Line]
    start: datetime
    end: datetime
    top: float | None = None
    """The largest value of the axis; found from the values when left out."""
    limit: float | None = None
    """A value worth a line of its own."""
    marks: Sequence[tuple[datetime, str]] = field(default_factory=tuple)
    """Moments worth a vertical line, with what happened."""


def draw(plot: Plot) -> str:
    """Return the plot as HTML: a figure with its legend, axes and drawing."""
    values = [value for line in plot.lines for _, value in line.points if value is not None]
    if not values:
        return (
            f"<figure><figcaption><b>{escape(plot.title)}</b></figcaption>"
            '<p class="none">nothing was measured</p></figure>'
        )
    ticks = _ticks(plot.top if plot.top is not None else max(values))
    top = ticks[-1]
    drawing = [*_grid(ticks, top), *_marks(plot), *(_path(plot, line, top) for line in plot.lines)]
    if plot.limit is not None:
        y = _y(plot.limit, top)
        drawing.append(f'<path class="limit" d="M0 {y:.1f}H{WIDTH:g}"/>')
    said = f"{plot.title}, {plot.unit}: {', '.join(_last(line, plot.unit) for line in plot.lines)}"
    return (
        f"<figure><figcaption><b>{escape(plot.title)}</b>"
        f'<span class="keys">{"".join(_key(line) for line in plot.lines)}</span></figcaption>'
        f'<div class="plot" role="img" aria-label="{escape(said, quote=True)}">'
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(drawing)}</svg>{_y_labels(ticks, top, plot.unit)}{_x_labels(plot)}</div></figure>"
    )


def _last(line: Line, unit: str) -> str:
    known = [value for _, value in line.points if value is not None]
    return f"{line.name} ends at {known[-1]:.3g} {unit}" if known else f"{line.name} has no values"


def _key(line: Line) -> str:
    return f'<span class="key {line.style}">{escape(line.name)}</span>'


def _ticks(most: float) -> list[float]:
    """Return a few round values from zero to at least ``most``."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * round_ for round_ in (1, 2, 2.5, 5, 10) if size * round_ >= rough - 1e-12)
    return [step * index for index in range(math.ceil(most / step - 1e-9) + 1)]


def _x(plot: Plot, at: datetime) -> float:
    span_s = max((plot.end - plot.start).total_seconds(), 0.001)
    return max(0.0, min(1.0, (at - plot.start).total_seconds() / span_s)) * WIDTH


def _y(value: float, top: float) -> float:
    return HEIGHT * (1 - min(value / top, 1.0))


def _grid(ticks: Sequence[float], top: float) -> list[str]:
    return [f'<path class="grid" d="M0 {_y(tick, top):.1f}H{WIDTH:g}"/>' for tick in ticks]


def _marks(plot: Plot) -> list[str]:
    return [
        f'<path class="mark" d="M{_x(plot, at):.1f} 0V{HEIGHT:g}"><title>{escape(said)}</title></path>'
        for at, said in plot.marks
    ]


def _path(plot: Plot, line: Line, top: float) -> str:
    runs: list[list[tuple[float, float]]] = [[]]
    for at, value in line.points:
        if at < plot.start or at > plot.end:
            continue
        if value is None:
            runs.append([])
        else:
            runs[-1].append((_x(plot, at), _y(value, top)))
    parts = [_run(run, line) for run in runs if run]
    filled = "".join(_area(run, line) for run in runs if run) if line.is_filled else ""
    return f'{filled}<path class="line {line.style}" d="{"".join(parts)}"/>'


def _run(run: Sequence[tuple[float, float]], line: Line) -> str:
    if len(run) == 1:
        return f"M{run[0][0]:.1f} {run[0][1]:.1f}h0"
    text = f"M{run[0][0]:.1f} {run[0][1]:.1f}"
    for x, y in run[1:]:
        text += f"H{x:.1f}V{y:.1f}" if line.is_stepped else f"L{x:.1f} {y:.1f}"
    return text


def _area(run: Sequence[tuple[float, float]], line: Line) -> str:
    outline = _run(run, line)
    return (
        f'<path class="area {line.style}" d="{outline}V{HEIGHT:g}H{run[0][0]:.1f}Z"/>'
        if len(run) > 1
        else ""
    )


def _y_labels(ticks: Sequence[float], top: float, unit: str) -> str:
    shown = ticks if len(ticks) <= 6 else ticks[::2]
    return "".join(
        f'<span class="y" style="top:{100 * _y(tick, top) / HEIGHT:.2f}%">{tick:g}'
        f"{f' {unit}' if tick == shown[-1] else ''}</span>"
        for tick in shown
    )


def _x_labels(plot: Plot) -> str:
    span = plot.end - plot.start
    form = "%H:%M:%S" if span < timedelta(minutes=20) else "%H:%M"
    form = form if span < timedelta(days=2) else "%d %b %H:%M"
    labels = []
    for index in range(TICKS_TIME):
        share = index / (TICKS_TIME - 1)
        at = plot.start + span * share
        inner = " inner" if index in {1, 3} else ""
        labels.append(
            f'<span class="x{inner}" style="left:{100 * share:.1f}%">{at.strftime(form)}</span>'
        )
    return "".join(labels)
