"""The simulator against a run that really took place: 140 s with a burst, on the local target.

The recording was made by ``python -m bench.questions.burst --record FILE``; it holds every arrival, the curve that
the model server measured, what the run cost and the p95 that the gateway counted.
"""

import json
from pathlib import Path

from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.simulate import (
    Limits,
    Objective,
    ServiceProfile,
    Trace,
    production,
    simulate,
    summarise,
)

RUN = Path(__file__).parents[2] / "data" / "runs" / "burst_140_s.json"
WITHIN = 0.15
SCRAPE_S = 2.0


def test_latency_and_replica_seconds_are_those_of_the_real_run() -> None:
    real = json.loads(RUN.read_text())
    arrivals = [at / 1000 for at in real["arrivals_ms"]]
    profile = ServiceProfile(
        curve=tuple((int(rows), float(taken)) for rows, taken in real["curve"]),
        rows_max=real["rows_max"], overhead_s=real["overhead_s"], start_s=real["start_s"],
    )  # fmt: skip
    policy = ScalingSpec(**real["scaling"])
    assert policy.latency is not None
    slo_s = policy.latency.ms / 1000
    trace = Trace(name="real", arrivals=arrivals, duration_s=arrivals[-1])
    ran = simulate(trace, profile, production(policy, profile, slo_s), Limits(tick_s=SCRAPE_S))
    found = summarise(trace, "ours", ran, Objective(slo_s=slo_s))
    assert abs(found.p95_ms / real["gateway_p95_ms"] - 1) <= WITHIN
    assert abs(found.replica_s / real["replica_s"] - 1) <= WITHIN
    assert found.rejected == 0
