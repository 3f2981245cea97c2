"""A rollout as one page that needs nothing else: readable on a phone, on paper, by day and by night."""

import importlib.resources
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

from prometheus_ai.cli.rollouts.plan import span
from prometheus_ai.cli.rollouts.plots import Line, Plot, draw
from prometheus_ai.client.records import Record

ROWS_MAX = 200
PARTS_MAX = 4
"""Of a reason at the top; the table below has all."""
EVIDENCE_MOST = 1.25
"""The axis of evidence ends a little above what decides."""
_PHASES = {
    "done": ("promoted", "good"), "rolled_back": ("rolled back", "bad"),
    "rolling_back": ("rolling back", "bad"), "baking": ("baking", "open"),
    "stepping": ("under way", "open"), "shadowing": ("mirroring", "open"),
}  # fmt: skip
_SHARES = {"errors", "latency", "ceiling", "errors_alone", "latency_alone", "accuracy", "agreement"}
"""Gates whose numbers are shares; those of the others are means."""
_MARKED = {"rollout:stepped", "rollout:ended", "rollout:rolled_back"}


def page(course: Record) -> str:
    """Return the whole page."""
    title = f"{course.backend}: {course.candidate} {_PHASES[course.phase][0]}"
    style = importlib.resources.files(__package__).joinpath("page.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>"
        f"{_head(course)}{_plots(course)}{_gates(course)}{_evidence(course)}"
        f"{_events(course)}{_decisions(course)}{_foot(course)}</main></body></html>\n"
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _head(course: Record) -> str:
    words, tone = _PHASES[course.phase]
    until = _time(course.ended_at or course.now)
    took_s = (until - _time(course.begun_at)).total_seconds()
    flip = f"{course.flip_ms:g} ms, rehearsed" if course.flip_ms is not None else "not rehearsed"
    back = f"about {span(course.rollback_s)}" if course.rollback_s else flip
    facts = {
        "Strategy": course.strategy,
        "Steps": " → ".join(f"{step:g} %" for step in course.steps),
        "Begun": f"{_time(course.begun_at):%Y-%m-%d %H:%M:%S} UTC",
        "Took" if course.ended_at else "Under way for": span(round(took_s)),
        "Judged by": f"{course.requests:,} requests of {course.candidate}",
        "Way back": back,
    }
    rows = "".join(
        f"<div><dt>{name}</dt><dd>{escape(said)}</dd></div>" for name, said in facts.items()
    )
    notes = "".join(f"<p class='note'>{escape(note)}</p>" for note in course.notes)
    reason = course.reason if course.ended_at else (course.verdict_reason or course.reason)
    return (
        f'<header><p class="over">Rollout of backend <b>{escape(course.backend)}</b></p>'
        f"<h1>{escape(course.candidate)} after {escape(course.stable or 'nothing')}"
        f' <span class="badge {tone}">{words}</span></h1>'
        f'<p class="reason">{_sentences(reason)}</p>{notes}<dl>{rows}</dl></header>'
    )


def _sentences(text: str) -> str:
    """Return the parts of a reason, each on a line of its own, the first one leading."""
    first, *others = [escape(part) for part in text.split("; ") if part] or ["nothing yet"]
    return "<br>".join((f"<b>{first}</b>", *others[: PARTS_MAX - 1]))


def _range(course: Record) -> tuple[datetime, datetime]:
    start = _time(course.begun_at)
    end = _time(course.ended_at or course.now)
    room = max((end - start) * 0.02, timedelta(seconds=2))
    return start - room, end + room


def _plots(course: Record) -> str:
    start, end = _range(course)
    marks = [
        (_time(event.at), f"{event.kind}: {event.reason}")
        for event in course.events
        if event.kind in _MARKED
    ]
    common: dict[str, Any] = {"start": start, "end": end, "marks": marks}
    share = [(_time(point.at), point.weight) for point in course.trace]
    shares = Line(
        name=course.candidate, style="new", points=_share(course, share, end),
        is_stepped=True, is_filled=True,
    )  # fmt: skip
    plots = [
        Plot(title="Share of traffic", unit="%", lines=[shares], top=100.0, **common),
        Plot(title="Latency", unit="ms", lines=_latencies(course), **common),
        Plot(title="Failed answers", unit="%", lines=_measured(course, _failed), **common),
        Plot(title="Requests", unit="per s", lines=_measured(course, _rate), **common),
    ]
    return f'<section><h2>What happened</h2><div class="plots">{"".join(map(draw, plots))}</div></section>'


def _share(
    course: Record, traced: list[tuple[datetime, float]], end: datetime
) -> list[tuple[datetime, float | None]]:
    """Return the weight over time: as the gateway confirmed it, and as it stood between."""
    known: list[tuple[datetime, float | None]] = [(_time(course.begun_at), 0.0), *traced]
    for event in course.events:
        if event.kind == "route:changed":
            weight = event.after.get("weights", {}).get(course.candidate, 0)
            known.append((_time(event.at), weight / 100))
    known.sort(key=lambda pair: pair[0])
    return [*known, (min(end, _time(course.ended_at or course.now)), known[-1][1])]


def _style(course: Record, version: str) -> str:
    return "new" if version == course.candidate else "old"


def _latencies(course: Record) -> list[Line]:
    lines = []
    for series in course.series:
        style = _style(course, series.version)
        for name, suffix in (("p95_ms", ""), ("p50_ms", " thin")):
            points = [(_time(point.at), point[name]) for point in series.points]
            lines.append(
                Line(name=f"{series.version} {name[:3]}", style=style + suffix, points=points)
            )
    return lines


def _measured(course: Record, value: Any) -> list[Line]:
    return [
        Line(
            name=series.version, style=_style(course, series.version),
            points=[(_time(point.at), value(point)) for point in series.points],
        )
        for series in course.series
    ]  # fmt: skip


def _failed(point: Record) -> float:
    return 100 * float(point.errors) / max(int(point.requests), 1)


def _rate(point: Record) -> float:
    return float(point.rate_per_s)


def _gates(course: Record) -> str:
    if not course.gates:
        return ""
    stable, candidate = escape(course.stable or "old"), escape(course.candidate)
    rows = "".join(
        f'<tr><th scope="row">{escape(gate.gate)}</th>'
        f'<td><span class="badge {_tone(gate.outcome)}">{escape(gate.outcome)}</span></td>'
        f'<td class="number" data-name="{stable}">{_number(gate, gate.baseline)}</td>'
        f'<td class="number" data-name="{candidate}">{_number(gate, gate.candidate)}</td>'
        f'<td data-name="safe">{_meter(gate.safety, "safe")}</td>'
        f'<td data-name="harmful">{_meter(gate.harm, "harm")}</td>'
        f'<td class="wide">{escape(gate.detail)}</td></tr>'
        for gate in course.gates
    )
    head = "".join(
        f"<th scope='col'{' class=wide' if name == 'In words' else ''}>{name}</th>"
        for name in (
            "Gate", "Outcome", course.stable or "old", course.candidate, "Safe", "Harmful", "In words",
        )
    )  # fmt: skip
    return (
        "<section><h2>What the evidence says</h2><div class='scroll'><table class='gates'>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _tone(outcome: str) -> str:
    return {"pass": "good", "fail": "bad"}.get(outcome, "open")


def _number(gate: Record, value: float) -> str:
    return f"{100 * value:.3g} %" if gate.gate in _SHARES else f"{value:.3g}"


def _meter(share: float, style: str) -> str:
    percent = round(100 * share)
    return (
        f'<span class="meter {style}" title="{percent} % of what decides">'
        f'<i style="width:{percent}%"></i></span>'
    )


def _evidence(course: Record) -> str:
    names = list(dict.fromkeys(gate.gate for point in course.trace for gate in point.gates))
    if not names:
        return ""
    start, end = _range(course)
    figures = [
        draw(
            Plot(
                title=name, unit="", start=start, end=end, top=EVIDENCE_MOST, limit=1.0,
                lines=[
                    Line(name="safe", style="safe", points=_gate_points(course, name, "safety")),
                    Line(name="harmful", style="harm", points=_gate_points(course, name, "harm")),
                ],
            )
        )
        for name in names
    ]  # fmt: skip
    return (
        "<section><h2>How the evidence grew</h2><p>At the dashed line it decides: "
        "green proves that the release is no worse, red that it is.</p>"
        f'<div class="plots">{"".join(figures)}</div></section>'
    )


def _gate_points(course: Record, name: str, what: str) -> list[tuple[datetime, float | None]]:
    return [
        (_time(point.at), max(0.0, min(gate[what], EVIDENCE_MOST)))
        for point in course.trace
        for gate in point.gates
        if gate.gate == name
    ]


def _events(course: Record) -> str:
    rows = [
        (f"{_time(event.at):%H:%M:%S}", event.kind, event.version or "", event.reason)
        for event in course.events
        if event.kind.startswith(("rollout:", "route:", "replica:", "release:"))
    ]
    return _table("Events", ("At", "Event", "Release", "Why"), rows)


def _decisions(course: Record) -> str:
    rows = [
        (f"{_time(one.at):%H:%M:%S}", str(one.id), f"{one.decider} {one.act}", one.reason)
        for one in course.decisions
    ]
    return _table("Decisions", ("At", "Id", "Decision", "Why"), rows)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    shown = rows[-ROWS_MAX:]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in shown
    )
    left_out = f", the last {len(shown)}" if len(shown) < len(rows) else ""
    return (
        f"<section><details><summary><h2>{title}</h2> <span>{len(rows)}{left_out}</span></summary>"
        f"<div class='scroll'><table class='log'><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div></details></section>"
    )


def _foot(course: Record) -> str:
    return (
        f"<footer>Written {_time(course.now):%Y-%m-%d %H:%M:%S} UTC by PROMETHEUS. "
        f"<code>pai decisions replay {escape(course.backend)}</code> makes every decision again.</footer>"
    )
