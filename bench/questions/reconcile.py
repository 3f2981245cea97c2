"""What does a pass of the control loop cost when there is nothing to do, and how soon does one change act?

Question: CPU time of one pass, and of one status, over 1,000 backends x 2 releases x 3 replicas on a fake
driver and the real store; time from one backend's changed count to its start. Beside it, the physical limit:
reading the same rows from the store and doing nothing.

    python -m bench.questions.reconcile [--backends 1000] [--passes 10]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.harness.card import publish
from bench.harness.fleet import ASKER, Fleet, build_fleet
from prometheus_ai.control.loop.passes import reconcile_once

PASS_BUDGET_S = 1.0
ACT_BUDGET_S = 1.0
STATUS_BUDGET_S = 0.3


def cpu_s(action: Callable[[], object], times: int) -> list[float]:
    """Return the CPU time of each call."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        action()
        taken.append(time.process_time() - started)
    return taken


def act_s(fleet: Fleet, backends: int) -> float:
    """Return the time from a changed count to the start of the replica, through a pass over everything."""
    before = len(fleet.driver.calls)
    started = time.perf_counter()
    fleet.control.scale(f"b{backends // 2:05}", 4, "v1", ASKER)
    while len(fleet.driver.calls) == before:
        reconcile_once(fleet.control.plane)
    return time.perf_counter() - started


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", type=int, default=1000)
    parser.add_argument("--passes", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fleet = build_fleet(Path(folder), options.backends)
        plane = fleet.control.plane

        def read_only() -> None:
            with plane.store.read() as reading:
                reading.backends()
                reading.releases()
                reading.release_states()
                reading.open_replicas()

        limit = statistics.median(cpu_s(read_only, options.passes))
        passes = cpu_s(lambda: reconcile_once(plane), options.passes)
        statuses = cpu_s(fleet.control.status, options.passes)
        acted = act_s(fleet, options.backends)
        replicas = len(fleet.driver.observe())
        plane.store.close()
        plane.workers.shutdown()
    pass_s, status_s = statistics.median(passes), statistics.median(statuses)
    publish(
        "reconcile",
        {
            "backends": options.backends,
            "replicas": replicas,
            "pass_cpu_s_p50": round(pass_s, 4),
            "pass_cpu_s_max": round(max(passes), 4),
            "pass_budget_s": PASS_BUDGET_S,
            "read_only_cpu_s_p50": round(limit, 4),
            "pass_to_read_ratio": round(pass_s / limit, 2),
            "status_cpu_s_p50": round(status_s, 4),
            "status_budget_s": STATUS_BUDGET_S,
            "one_change_acts_s": round(acted, 4),
            "act_budget_s": ACT_BUDGET_S,
            "is_within_budget": max(passes) <= PASS_BUDGET_S
            and status_s <= STATUS_BUDGET_S
            and acted <= ACT_BUDGET_S,
        },
    )


if __name__ == "__main__":
    main()
