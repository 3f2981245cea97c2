"""Metrics as Prometheus text and as the exact JSON of the wire page."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prometheus_ai_runtime.batching.stats import ModelStats
from prometheus_ai_runtime.watch.histogram import Histogram

_BOUNDS_S = [2.0**n * 1e-4 for n in range(20)]
_HISTOGRAMS = (
    ("request_seconds", "From the first byte read to the last byte handed to the kernel."),
    ("queue_seconds", "Waiting for the engine."),
    ("compute_seconds", "In the engine, one value a batch."),
    ("first_piece_seconds", "From the first byte read to the first piece of a streamed answer."),
    ("piece_gap_seconds", "Between two pieces of a streamed answer."),
)
_OF_THE_PROCESS = {
    "pai_resident_bytes": "Resident memory of the server's process.",
    "pai_throttled_seconds": "Time since the start in which the CPU quota stopped the process.",
    "pai_progress_age_seconds": "For how long the slowest running engine call showed no progress.",
    "pai_connections": "Open connections.",
    "pai_refused_requests": "Requests refused before any model was known.",
}
"""What each gauge of the whole process means."""
_COUNTERS = (
    ("rows", "Rows run."),
    ("batches", "Engine calls that succeeded."),
    ("pieces", "Pieces of streamed answers."),
)


class Series:
    """One model's label set and numbers, as both forms need them."""

    __slots__ = (
        "active",
        "fixed_s",
        "name",
        "per_row_s",
        "ready",
        "rows_queued",
        "stats",
        "version",
    )

    def __init__(self, name: str, version: str, stats: ModelStats) -> None:
        self.name = name
        self.version = version
        self.stats = stats
        self.active = 0
        self.rows_queued = 0
        self.ready = False
        self.fixed_s = 0.0
        self.per_row_s = 0.0

    @property
    def labels(self) -> str:
        """The Prometheus labels; names are checked on entry and need no escaping."""
        return f'model="{self.name}",version="{self.version}"'


def as_json(epoch: str, series: Iterable[Series]) -> dict[str, Any]:
    """Everything, exact and cumulative since start."""
    return {
        "epoch": epoch,
        "models": [
            {
                "name": s.name,
                "version": s.version,
                "requests": s.stats.counts(),
                "rows": s.stats.rows,
                "batches": s.stats.batches,
                "requests_active": s.active,
                "rows_queued": s.rows_queued,
                "histograms": s.stats.histograms(),
            }
            for s in series
        ],
    }


def as_text(series: Iterable[Series], gauges: dict[str, float]) -> bytes:
    """Prometheus text, version 0.0.4."""
    listed = list(series)
    lines: list[str] = []
    _family(lines, "pai_requests_total", "counter", "Requests by outcome.")
    for s in listed:
        for outcome, n in s.stats.counts().items():
            lines.append(f'pai_requests_total{{{s.labels},outcome="{outcome}"}} {n}')
    for name, text in _COUNTERS:
        _family(lines, f"pai_{name}_total", "counter", text)
        lines += [f"pai_{name}_total{{{s.labels}}} {getattr(s.stats, name)}" for s in listed]
    for name, attribute, text in (
        ("pai_requests_active", "active", "Requests taken and not yet answered."),
        ("pai_rows_queued", "rows_queued", "Rows waiting for the engine."),
        ("pai_model_ready", "ready", "1 when the model takes requests."),
        ("pai_batch_fixed_seconds", "fixed_s", "Learned cost of an engine call, without rows."),
        ("pai_batch_row_seconds", "per_row_s", "Learned cost of one more row in a batch."),
    ):
        _family(lines, name, "gauge", text)
        lines += [f"{name}{{{s.labels}}} {float(getattr(s, attribute)):g}" for s in listed]
    for name, text in _HISTOGRAMS:
        _family(lines, f"pai_{name}", "histogram", text)
        for s in listed:
            _histogram(lines, f"pai_{name}", s.labels, getattr(s.stats, name))
    for name, value in gauges.items():
        _family(lines, name, "gauge", _OF_THE_PROCESS[name])
        lines.append(f"{name} {value:g}")
    return ("\n".join(lines) + "\n").encode()


def resident_bytes() -> int:
    """This process's resident memory."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def _family(lines: list[str], name: str, kind: str, text: str) -> None:
    lines.append(f"# HELP {name} {text}")
    lines.append(f"# TYPE {name} {kind}")


def _histogram(lines: list[str], name: str, labels: str, histogram: Histogram) -> None:
    for bound, n in zip(_BOUNDS_S, histogram.at_most(_BOUNDS_S), strict=True):
        lines.append(f'{name}_bucket{{{labels},le="{bound:g}"}} {n}')
    lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {histogram.count}')
    lines.append(f"{name}_sum{{{labels}}} {histogram.sum:.9g}")
    lines.append(f"{name}_count{{{labels}}} {histogram.count}")
