"""Recordings of runs that really took place, and the simulator's word on them.

A recording holds every arrival, the curve that the model server measured, and what the run cost.
"""

import gzip
import json
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.simulate import (
    Limits,
    Objective,
    Row,
    ServiceProfile,
    Trace,
    production,
    simulate,
    summarise,
)

RUNS = Path(__file__).parents[2] / "data" / "runs"
SCRAPE_S = 2.0
"""How often the autoscaler ticked."""


def read_run(name: str) -> dict[str, Any]:
    """Return a recording by its file's name."""
    content = (RUNS / name).read_bytes()
    found: dict[str, Any] = json.loads(
        gzip.decompress(content) if name.endswith(".gz") else content
    )
    return found


def simulated(run: dict[str, Any]) -> Row:
    """Play a recording's arrivals with its own curve, start-up time and policy."""
    arrivals_ms = run.get("arrivals_ms") or accumulate(run["gaps_ms"])
    arrivals = [at_ms / 1000 for at_ms in arrivals_ms]
    profile = ServiceProfile(
        curve=tuple((int(rows), float(taken)) for rows, taken in run["curve"]),
        rows_max=run["rows_max"], overhead_s=run["overhead_s"], start_s=run["start_s"],
    )  # fmt: skip
    policy = ScalingSpec(**run["scaling"])
    assert policy.latency is not None
    slo_s = policy.latency.ms / 1000
    trace = Trace(name="real", arrivals=arrivals, duration_s=arrivals[-1])
    ran = simulate(trace, profile, production(policy, profile, slo_s), Limits(tick_s=SCRAPE_S))
    return summarise(trace, "ours", ran, Objective(slo_s=slo_s))
