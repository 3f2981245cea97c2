"""What does it cost to decide about a thousand backends?

Question: CPU time of one pass that scales 1,000 backends by their policies, and of one that judges rollouts under
way on some of them, over a fake driver and gateway and the real store. Beside it, the physical limit: the same
pure decisions from values in memory.

    python -m bench.questions.decision_pass [--backends 1000] [--rollouts 20] [--passes 5]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.harness.card import publish
from bench.harness.fleet import Fleet, make_fleet
from prometheus_ai.control.autoscale.tick import Autoscaler
from prometheus_ai.control.rollouts.tick import Judge
from prometheus_ai.domain.demand import DemandSample, ScalingFacts
from prometheus_ai.domain.policy import ScalingSpec
from prometheus_ai.scaling import begin_scaling, target

BUDGET_S = 1.0
SCALING: dict[str, Any] = {"min": 1, "max": 4, "concurrency": 10}
ROLLOUT: dict[str, Any] = {"steps": [50, 100], "step_s": 3600, "patience_s": 7200}


def build(folder: Path, backends: int, rollouts: int) -> Fleet:
    """Deploy backends that scale by policy, and begin rollouts on some."""
    fleet = make_fleet(folder)
    for number in range(backends):
        fleet.deploy(f"b{number:05}", b"one", scaling=SCALING)
    fleet.settle()
    for number in range(rollouts):
        fleet.deploy(f"b{number:05}", b"two", scaling=SCALING, rollout=ROLLOUT)
    fleet.settle()
    return fleet


def serve(fleet: Fleet, backends: int) -> None:
    """Let every backend answer some requests."""
    for number in range(backends):
        fleet.gateway.count(f"b{number:05}", "v1", requests=20)
        fleet.gateway.count(f"b{number:05}", "v2", requests=20)
        fleet.gateway.occupy(f"b{number:05}", "v1", active=3)


def cpu_s(
    action: Callable[[], object], before: Callable[[], object], times: int
) -> dict[str, float]:
    """Return what the calls took after a first one, which only remembers."""
    taken = []
    for _ in range(times + 1):
        before()
        started = time.process_time()
        action()
        taken.append(time.process_time() - started)
    return {"p50_s": round(statistics.median(taken[1:]), 4), "max_s": round(max(taken[1:]), 4)}


def limit_s(backends: int) -> float:
    """Return the CPU time of so many decisions from values in memory."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    policy = ScalingSpec(**SCALING)
    states = [begin_scaling(now, 1) for _ in range(backends)]
    for second in range(1, 60):
        at = now + timedelta(seconds=second)
        sample = DemandSample(at=at, active=3, pending=0, arrivals_per_s=10)
        facts = ScalingFacts(sample=sample, replicas=1, ready=1)
        started = time.process_time()
        states = [target(state, facts, policy, at).state for state in states]
        taken = time.process_time() - started
    return taken


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", type=int, default=1000)
    parser.add_argument("--rollouts", type=int, default=20)
    parser.add_argument("--passes", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fleet = build(Path(folder), options.backends, options.rollouts)
        plane = fleet.control.plane
        autoscaler, judge = Autoscaler(plane=plane), Judge(plane=plane)

        def traffic() -> None:
            serve(fleet, options.backends)

        scaling = cpu_s(autoscaler.tick, traffic, options.passes)
        judging = cpu_s(judge.tick, traffic, options.passes)
        plane.store.close()
        plane.workers.shutdown()
    publish(
        "decision_pass",
        {
            "backends": options.backends,
            "rollouts": options.rollouts,
            "scaling_cpu": scaling,
            "judging_cpu": judging,
            "pure_decisions_cpu_s": round(limit_s(options.backends), 4),
            "budget_s": BUDGET_S,
            "is_within_budget": scaling["p50_s"] + judging["p50_s"] <= BUDGET_S,
        },
    )


if __name__ == "__main__":
    main()
