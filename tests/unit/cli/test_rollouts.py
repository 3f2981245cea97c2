"""The commands about rollouts: the live screen at any width, the page, the plots, and the commands themselves."""

import io
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from prometheus_ai.cli.rollouts.page import page
from prometheus_ai.cli.rollouts.plots import Line, Plot, draw
from prometheus_ai.cli.rollouts.screen import bar, screen, sparkline
from prometheus_ai.client.records import Record, record, records
from tests.unit.cli.conftest import Pai
from tests.unit.cli.test_commands import Deploy

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
GATE = {
    "gate": "errors", "outcome": "insufficient", "harm": 0.1, "safety": 0.7, "candidate": 0.01,
    "baseline": 0.02, "decide_in_s": 42.0, "detail": "<1 %> & more", "is_gating": True,
}  # fmt: skip


def look(**rollout: object) -> Record:
    traffic = {"requests": 100, "errors": 3, "span_s": 10.0}
    return record(
        {
            "summary": {
                "name": "digits", "state": "ready", "traffic": traffic,
                "weights": {"v1": 95.0, "v2": 5.0}, "weights_wanted": {"v1": 95.0, "v2": 5.0},
            },
            "releases": [
                {"version": f"v{n}", "phase": "ready", "weight": share, "replicas_ready": 1,
                 "replicas_wanted": 1} for n, share in ((1, 95.0), (2, 5.0))
            ],
            "rollout": {
                "candidate": "v2", "strategy": "canary", "phase": "stepping", "step": 0,
                "steps": [5.0, 100.0], "is_paused": False, "is_in_place": False,
                "verdict": "insufficient", "decide_in_s": 42.0, "gates": [GATE], "flip_ms": 11.5,
                "rollback_s": 0.0, **rollout,
            },
            "replicas": [
                {"id": f"digits-v1-{n}", "phase": "ready", "detail": "", "endpoint": "127.0.0.1:1"}
                for n in range(20)
            ],
        }
    )  # fmt: skip


SERIES = records(
    [{"version": "v1", "points": [{"p95_ms": 1.0}, {"p95_ms": None}, {"p95_ms": 4.0}]}]
)


def drawn(width: int, **rollout: object) -> list[str]:
    console = Console(file=io.StringIO(), width=width, no_color=True)
    console.print(screen(look(**rollout), SERIES, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [30, 40, 64, 80, 200])
def test_the_screen_fits_any_terminal(width: int) -> None:
    lines = drawn(width)
    assert max(len(line) for line in lines) <= width
    assert any("digits" in line for line in lines)
    assert any("errors" in line and "█" in line for line in lines)


def test_the_screen_shows_weights_evidence_time_to_decide_and_the_way_back() -> None:
    text = "\n".join(drawn(100))
    for words in ("95 %", "5 %", "in 42 s", "11.5 ms", "step 1 of 2", "and 8 more", "4.0 ms"):
        assert words in text
    assert "about 30 s" in "\n".join(drawn(100, rollback_s=30.0))


def test_a_sparkline_has_gaps_where_nothing_is_known() -> None:
    assert sparkline([1, None, 8], 10) == "▂ █"
    assert sparkline([None], 10) == "no requests"
    assert len(sparkline(list(range(100)), 12)) == 12
    assert bar(0.5, 4) == "██░░"


def plot(**values: object) -> Plot:
    given = {
        "title": "Latency", "unit": "ms", "start": NOON, "end": NOON + timedelta(minutes=5),
        "lines": [Line(name="v1", style="old", points=[(NOON, 1.0), (NOON, None), (NOON, 3.0)])],
        **values,
    }  # fmt: skip
    return Plot(**given)  # type: ignore[arg-type]


def test_a_plot_is_well_formed_and_breaks_its_line_at_gaps() -> None:
    html = draw(plot(marks=[(NOON, "a <mark>")], limit=2.0))
    ET.fromstring(html)
    (path,) = re.findall(r'class="line old" d="([^"]+)"', html)
    assert path.count("M") == 2
    assert "a &lt;mark&gt;" in html


def test_a_plot_without_values_says_so() -> None:
    assert "nothing was measured" in draw(plot(lines=[]))


@pytest.mark.parametrize("most", [1e-9, 0.3, 1, 7, 99.9, 12345])
def test_an_axis_reaches_over_the_largest_value(most: float) -> None:
    html = draw(plot(lines=[Line(name="x", style="new", points=[(NOON, most)])]))
    labels = [float(text.split()[0]) for text in re.findall(r'class="y"[^>]*>([^<]+)<', html)]
    assert labels[-1] >= most
    assert len(labels) <= 6


def course(**values: object) -> Record:
    at = NOON.isoformat()
    point = {
        "at": at,
        "requests": 10,
        "errors": 1,
        "rate_per_s": 5.0,
        "p50_ms": 1.0,
        "p95_ms": None,
    }
    given = {
        "backend": "digits", "candidate": "v2", "stable": "v1", "strategy": "canary",
        "phase": "rolled_back", "reason": "errors fail; <b>", "begun_at": at,
        "ended_at": (NOON + timedelta(minutes=2)).isoformat(), "now": at, "steps": [5, 100],
        "weight": 0.0, "verdict": "fail", "verdict_reason": "", "decide_in_s": None,
        "requests": 1234, "gates": [GATE], "flip_ms": 9.0, "rollback_s": 0.0, "notes": ["note"],
        "trace": [{"at": at, "weight": 5.0, "outcome": "fail", "requests": 3,
                   "gates": [{"gate": "errors", "harm": 2.0, "safety": -1.0}]}],
        "series": [{"version": "v2", "points": [point]}],
        "events": [{"at": at, "kind": "route:changed", "version": None, "reason": "x",
                    "after": {"weights": {"v2": 500}}}],
        "decisions": [{"at": at, "id": 1, "decider": "rollout", "act": "rollback", "reason": "y"}],
        **values,
    }  # fmt: skip
    return record(given)


@pytest.mark.parametrize("phase", ["done", "rolled_back", "stepping", "baking", "shadowing"])
def test_the_page_stands_alone_and_escapes_what_it_shows(phase: str) -> None:
    html = page(course(phase=phase))
    assert "&lt;b&gt;" in html
    assert "<script" not in html
    assert not re.search(r"(?:src|href)=", html)
    assert "http" not in html.replace("http-equiv", "")
    assert "1,234 requests" in html


def test_a_rollout_without_any_measurement_has_a_page(pai: Pai) -> None:
    assert "nothing was measured" in page(
        course(trace=[], series=[], events=[], gates=[], decisions=[])
    )


def test_plan_decisions_and_watch_through_the_command_line(
    pai: Pai, deployed: Deploy, tmp_path: Path
) -> None:
    deployed()
    assert pai.json("plan", "digits")["strategy"] == "canary"
    assert "way back" in pai("plan", "pai.yaml").stdout
    assert "nothing was decided yet" in pai("decisions", "digits").stderr
    assert pai("decisions", "list", "digits", "--json").stdout.strip() == "[]"
    assert "0 decisions made again" in pai("decisions", "replay", "digits").stdout
    assert "digits" in pai("watch", "digits", "--once").stdout
    assert pai.json("watch", "digits", "--once")["backend"]["summary"]["name"] == "digits"
    assert pai("plan", "nothing").exit_code == 4
    assert "never had a rollout" in pai("report", "rollout", "digits").stderr


def test_ctrl_c_ends_the_watch_cleanly(pai: Pai, deployed: Deploy) -> None:
    deployed()
    watching = subprocess.Popen(
        [sys.executable, "-m", "prometheus_ai.cli", "watch", "digits", "--json", "--every", "0.2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=pai.environ | {"PATH": "/bin"},
    )  # fmt: skip
    assert watching.stdout is not None
    assert "digits" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=20)
    assert (watching.returncode, said.strip()) == (130, "interrupted")
