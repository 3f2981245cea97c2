"""One look at a backend, drawn for a terminal of any width."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from prometheus_ai.cli.rollouts.plan import span
from prometheus_ai.cli.watch.words import milliseconds, traffic
from prometheus_ai.client.records import Record

NARROW = 64
"""Below this many columns the second of two things side by side is left out."""
SPARKS = "▁▂▃▄▅▆▇█"
FULL, EMPTY = "█", "░"
REPLICAS_MAX = 12
_STATE_STYLES = {
    "ready": "green", "pass": "green", "starting": "yellow", "draining": "yellow",
    "insufficient": "yellow", "degraded": "yellow", "deploying": "yellow", "waking": "yellow",
    "fail": "red", "down": "red", "failed": "red", "stuck": "red", "asleep": "blue",
}  # fmt: skip


def screen(found: Record, series: Sequence[Record], width: int) -> RenderableType:
    """Return what `pai watch` shows: weights, verdict, latency and replicas."""
    parts: list[RenderableType] = [_head(found), Text(), _weights(found, width)]
    if found.rollout is not None:
        parts += [Rule("rollout", style="dim", align="left"), *_rollout(found.rollout, width)]
    if series:
        parts += [Rule("latency p95", style="dim", align="left"), _latency(series, width)]
    if found.replicas:
        parts += [Rule("replicas", style="dim", align="left"), _replicas(found, width)]
    return Group(*parts)


def _head(found: Record) -> Text:
    summary = found.summary
    seen = summary.traffic
    rate = seen.requests / seen.span_s if seen.span_s else 0.0
    text = Text.assemble((summary.name, "bold"), "  ", _state(summary.state), overflow="ellipsis")
    text.append(f"  {traffic(summary)}  {rate:.3g} requests/s")
    if seen.errors:
        text.append(f"  {seen.errors:,} errors", style="red")
    return text


def _state(word: str) -> tuple[str, str]:
    return word, _STATE_STYLES.get(word, "")


def _grid(*ratios: int | None) -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    for ratio in ratios:
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=ratio)
    return grid


def _weights(found: Record, width: int) -> Table:
    grid = _grid(None, None, None, 1)
    size = max(8, min(40, width - 36))
    for release in found.releases:
        stands = Text.assemble(
            _state(release.phase), f" {release.replicas_ready}/{release.replicas_wanted}"
        )
        grid.add_row(
            Text(release.version, "bold"),
            Text(bar(release.weight / 100, size), "cyan"),
            Text(f"{release.weight:g} %", justify="right"),
            stands,
        )  # fmt: skip
    return grid


def bar(share: float, size: int) -> str:
    """Return a bar of so many cells, full as far as the share."""
    full = round(max(0.0, min(1.0, share)) * size)
    return FULL * full + EMPTY * (size - full)


def _rollout(rollout: Record, width: int) -> list[RenderableType]:
    paused = ", paused" if rollout.is_paused else ""
    place = " in place" if rollout.is_in_place else ""
    stands = Text(
        f"{rollout.candidate}: {rollout.strategy}{place}, {rollout.phase}{paused},"
        f" step {rollout.step + 1} of {len(rollout.steps)}",
        overflow="ellipsis",
    )
    lines: list[RenderableType] = [stands]
    if rollout.verdict:
        due = f", decided in about {span(rollout.decide_in_s)}" if rollout.decide_in_s else ""
        lines.append(Text.assemble("verdict ", _state(rollout.verdict), due))
    if rollout.gates:
        lines.append(_gauges(rollout.gates, width))
    lines.append(Text(_way_back(rollout), "dim"))
    return lines


def _way_back(rollout: Record) -> str:
    if rollout.rollback_s > 0:
        return f"a rollback takes about {span(rollout.rollback_s)}"
    if rollout.flip_ms is None:
        return "the way back is rehearsed with the first step"
    return f"a rollback is in force after {rollout.flip_ms:g} ms (rehearsed)"


def _gauges(gates: Sequence[Record], width: int) -> Table:
    """Draw how far the evidence is, towards a PASS in green and towards a FAIL in red."""
    size = 16 if width >= NARROW else 8
    grid = _grid(None, None, None, 1)
    for gate in gates:
        if not gate.is_gating:
            continue
        safe = Text.assemble(("safe ", "dim"), (bar(gate.safety, size), "green"))
        harm = Text.assemble(("harm ", "dim"), (bar(gate.harm, size), "red"))
        due = f"in {span(gate.decide_in_s)}" if gate.decide_in_s else gate.outcome
        if width < NARROW:
            worst = harm if gate.harm > gate.safety else safe
            grid.add_row(gate.gate, worst, due, "")
        else:
            grid.add_row(gate.gate, safe, harm, due)
    return grid


def _latency(series: Sequence[Record], width: int) -> Table:
    grid = _grid(None, 1, None)
    for one in series:
        values = [point.p95_ms for point in one.points]
        last = next((value for value in reversed(values) if value is not None), None)
        line = sparkline(values, max(8, width - 24))
        grid.add_row(Text(one.version, "bold"), Text(line, "cyan"), milliseconds(last))
    return grid


def sparkline(values: Sequence[float | None], size: int) -> str:
    """Return the newest values as a line of blocks; a gap where nothing is known."""
    shown = list(values)[-size:]
    known = [value for value in shown if value is not None]
    if not known:
        return "no requests"
    top = max(known) or 1.0
    last = len(SPARKS) - 1
    return "".join(
        " " if value is None else SPARKS[min(last, round(value / top * last))] for value in shown
    )


def _replicas(found: Record, width: int) -> Table:
    grid = _grid(None, None, 1)
    for one in found.replicas[:REPLICAS_MAX]:
        detail = one.detail or one.endpoint or ""
        grid.add_row(one.id, Text.assemble(_state(one.phase)), detail if width >= NARROW else "")
    if len(found.replicas) > REPLICAS_MAX:
        grid.add_row(f"and {len(found.replicas) - REPLICAS_MAX} more", "", "")
    return grid
