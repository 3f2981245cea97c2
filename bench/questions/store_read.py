"""How long does the control plane take to read everything that it steers?

Question: CPU time of one `read()` with backends, releases, states and open replicas of
1,000 backends x 2 releases x 3 replicas. Budget: 0.3 s, beside a fetch of the same rows by the bare driver.

    python -m bench.questions.store_read [--backends 1000] [--passes 20]
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from bench.harness.card import publish
from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.testing.state_values import (
    NOW,
    make_backend,
    make_release,
    make_replica,
    make_state,
)

BUDGET_S = 0.3
TABLES = ("backends", "releases", "release_states", "replicas")


def fill(store: SqlStore, backends: int) -> None:
    """Write the fleet."""
    with store.write() as tx:
        for number in range(backends):
            name = f"b{number:05}"
            weights = (("v1", 9000), ("v2", 1000))
            tx.put_backend(
                replace(make_backend(name), stable="v1", wanted=weights, in_force=weights)
            )
            for release in (1, 2):
                version = f"v{release}"
                tx.add_release(make_release(name, release))
                tx.put_release_state(make_state(name, version))
                for index in range(3):
                    record = make_replica(f"{name}-{version}-{index}", version, index)
                    tx.put_replica(replace(record, backend=name, ready_at=NOW))


def cpu_s(action: Callable[[], object], passes: int) -> list[float]:
    """Return the CPU time of each pass."""
    taken = []
    for _ in range(passes):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return taken


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", type=int, default=1000)
    parser.add_argument("--passes", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pai.db"
        store = SqlStore.open(path)
        fill(store, options.backends)

        def read() -> None:
            with store.read() as view:
                view.backends()
                view.releases()
                view.release_states()
                view.open_replicas()

        first = cpu_s(read, 1)[0]
        warm = cpu_s(read, options.passes)
        with closing(sqlite3.connect(path)) as db:
            bare = cpu_s(
                lambda: [db.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES],
                options.passes,
            )
        store.close()
    publish(
        "store_read",
        {
            "backends": options.backends,
            "first_pass_cpu_s": round(first, 4),
            "pass_cpu_s_p50": round(statistics.median(warm), 4),
            "pass_cpu_s_max": round(max(warm), 4),
            "bare_driver_cpu_s_p50": round(statistics.median(bare), 4),
            "budget_cpu_s": BUDGET_S,
            "is_within_budget": max(first, *warm) <= BUDGET_S,
        },
    )


if __name__ == "__main__":
    main()
