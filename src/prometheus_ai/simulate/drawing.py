"""Simulations as pictures: one row of blocks for a terminal, and SVG for a page."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from prometheus_ai.simulate.results import Row
from prometheus_ai.simulate.verdicts import VerdictTime

_BLOCKS = " ▁▂▃▄▅▆▇█"
_COLOURS = 5
_WIDTH, _HEIGHT, _LEFT, _TOP, _FOOT = 860, 220, 56, 24, 30
_CELLS = ("scaler", "requests", "missed", "p50", "p95", "p99", "held for a start", "starts",
          "replica-seconds", "most replicas", "cost")  # fmt: skip
_VERDICT_CELLS = ("candidate", "becomes", "first verdict", "ended after", "requests harmed", "why")
_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2330;--soft:#5a6473;--rule:#dde1e7;
--c0:#0a62c9;--c1:#c2410c;--c2:#147a45;--c3:#862e9c;--c4:#6b7686}
@media (prefers-color-scheme:dark){:root{--paper:#12161d;--ink:#e6e9ef;--soft:#9aa4b2;--rule:#2c3440;
--c0:#6cb2ff;--c1:#ff9b6b;--c2:#56c98a;--c3:#d49be8;--c4:#94a0b2}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:68rem;margin:0 auto;padding:2rem 1.25rem 3rem}
h1{margin:0 0 .5rem;font-size:1.7rem;line-height:1.2}h2{margin:2.25rem 0 .5rem;font-size:1.15rem}
p{margin:.25rem 0;color:var(--soft);overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin-top:1rem}
table{width:100%;border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.4rem .7rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
th{color:var(--soft);font-size:.8rem;font-weight:500}
th:first-child,td:first-child,.words td:last-child,.words th:last-child{text-align:left}
th:first-child,td:first-child{padding-left:0}.words td:last-child{white-space:normal;min-width:16rem}
svg{display:block;width:100%;min-width:34rem;height:auto}
"""
POINTS_MAX = 400


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Return values as a row of blocks, the largest of each stretch standing for it."""
    if not values:
        return ""
    most = max(values) or 1.0
    return "".join(
        _BLOCKS[round(value / most * (len(_BLOCKS) - 1))] for value in _thinned(values, width)
    )


def page(
    title: str,
    rows: Sequence[Row],
    words: Sequence[str],
    verdicts: Mapping[str, Sequence[VerdictTime]] | None = None,
) -> str:
    """Return a page of its own: tables, and plots of replicas and of requests in flight."""
    replicas = {row.scaler: [float(count) for _, count, _ in row.timeline] for row in rows}
    flight = {row.scaler: [load for _, _, load in row.timeline] for row in rows}
    span_s = max((row.timeline[-1][0] for row in rows if row.timeline), default=0.0)
    notes = "".join(f"<p>{escape(line)}</p>" for line in words)
    decided = "".join(
        f"<h2>A rollout of {escape(spec)} at this traffic</h2>"
        f"{_table(_VERDICT_CELLS, map(_verdict, found), 'words')}"
        for spec, found in (verdicts or {}).items()
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{escape(title)}</title><style>{_STYLE}</style>
<main><h1>{escape(title)}</h1>{notes}{_table(_CELLS, map(_cells, rows))}
<h2>Replicas</h2><div class="scroll">{plot(replicas, span_s)}</div>
<h2>Requests in flight</h2><div class="scroll">{plot(flight, span_s)}</div>{decided}</main></html>
"""


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.scaler, str(row.requests), f"{row.misses} ({row.miss_share:.2%})",
        f"{row.p50_ms:.1f} ms", f"{row.p95_ms:.1f} ms", f"{row.p99_ms:.1f} ms", str(row.held),
        str(row.starts), f"{row.replica_s:.0f}", str(row.replicas_max), f"{row.cost:.3g}",
    )  # fmt: skip


def _verdict(one: VerdictTime) -> tuple[str, ...]:
    first = "-" if one.first_verdict_s is None else f"{one.first_verdict_s:.0f} s"
    return (one.candidate, one.outcome, first, f"{one.took_s:.0f} s", str(one.harmed), one.reason)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<div class="scroll"><table class="{kind}"><tr>{names}</tr>{body}</table></div>'


def plot(lines: dict[str, list[float]], span_s: float) -> str:
    """Return lines over time as SVG, with a legend; all lines share both axes."""
    most = max((value for values in lines.values() for value in values), default=0.0) or 1.0
    head = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg"'
    parts = [f'{head} font-family="system-ui,sans-serif" font-size="12" fill="currentColor">']
    bottom = _HEIGHT - _FOOT
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - _TOP)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor"'
            f' stroke-opacity=".15"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{most * share:.3g}</text>'
        )
    legend = _LEFT + 8
    for number, (name, values) in enumerate(lines.items()):
        colour = f"var(--c{number % _COLOURS})"
        points = _points(_thinned(values, POINTS_MAX), most, bottom)
        parts.append(
            f'<polyline fill="none" style="stroke:{colour}" stroke-width="1.75" points="{points}"/>'
            f'<text x="{legend}" y="14" style="fill:{colour}">{escape(name)}</text>'
        )
        legend += 7 * len(name) + 24
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
