"""Does the simulator tell what an hour of real traffic did?

Question: one hour on the local target, open loop: traffic that rises and falls between 6 and 22 requests/s as a day
does, with four bursts of 200 to 350/s for 60 to 90 s; a model that takes 20 ms and 2.5 ms more for each row of a
batch; replicas from one to six by the release's policy. Then the same arrivals through the simulator, with the curve
that the model server measured. Budget: the p95 and the replica-seconds of both are within 15 % of each other.

    [chrt --rr 1] python -m bench.questions.simulated_hour [--duration-s 3600] [--record FILE]
"""

import argparse
import asyncio
import gzip
import json
import math
import random
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.harness.card import publish
from bench.questions.burst import SCALING, SOURCE, drive, replica_seconds
from prometheus_ai.client import Client
from tests.e2e.installation import Installation, wait_for
from tests.unit.simulate.real_run import simulated

LOW_PER_S, HIGH_PER_S = 6.0, 22.0
# Where each burst begins as a share of the hour, its requests a second, and its share of the hour.
BURSTS = ((0.15, 200.0, 1 / 60), (0.4, 350.0, 1 / 40), (0.6, 280.0, 1 / 40), (0.85, 320.0, 1 / 60))
BUDGET = 0.15
SEED = 23
PAGE = 500


def rate(share: float) -> float:
    """Return the requests a second at a share of the hour."""
    for begin, per_s, length in BURSTS:
        if begin <= share < begin + length:
            return per_s
    return LOW_PER_S + (HIGH_PER_S - LOW_PER_S) * (1 - math.cos(2 * math.pi * share)) / 2


def arrivals(duration_s: float) -> list[float]:
    """Return the times of all requests, by thinning (Lewis and Shedler 1979)."""
    chance, found, at = random.Random(SEED), [], 0.0
    peak = max(HIGH_PER_S, *(per_s for _, per_s, _ in BURSTS))
    while (at := at + chance.expovariate(peak)) < duration_s:
        if chance.random() * peak < rate(at / duration_s):
            found.append(round(at, 3))
    return found


def all_events(client: Client, name: str) -> list[Any]:
    """Return every event of a backend, page by page."""
    found: list[Any] = []
    while page := client.events(name, after=found[-1].index + 1 if found else 0, limit=PAGE):
        found += page
    return found


def real(times: list[float]) -> dict[str, Any]:
    """Drive the real installation, and return what the simulator needs and what is to be told."""
    with tempfile.TemporaryDirectory() as folder, Installation(Path(folder)) as installation:
        client = installation.client()
        limits = {"resources": {"cpu": 0.25, "memory": "256Mi"}}
        client.deploy(installation.python_spec("hour", SOURCE, **limits, scaling=SCALING))
        wait_for("ready", lambda: client.backend("hour")["summary"]["state"] == "ready", 120)
        port = int(installation.gateway_url.rpartition(":")[2])
        # The server learns its own speed before it counts; so does a fleet in production.
        asyncio.run(drive(port, "hour", [number / 50 for number in range(300)]))
        began = time.time()
        taken = asyncio.run(drive(port, "hour", times))
        ended = time.time()
        recorded = client.recording("hour")
        events = all_events(client, "hour")
        client.delete("hour")
    return {
        "what": f"one real run of {times[-1]:.0f} s on the local target, "
        "recorded by bench.questions.simulated_hour",
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "scaling": SCALING,
        **{name: recorded[name] for name in ("curve", "overhead_s", "rows_max", "start_s")},
        "client_p95_ms": taken.p95_ms(0.0, times[-1] + 1),
        "failed": dict(Counter(taken.failed)),
        "failures": sorted(set(taken.failed))[:5],
        "replica_s": round(replica_seconds(events, began, ended), 2),
        "starts": sum(event.kind == "replica:started" for event in events) - 1,
        "gaps_ms": [round(1000 * (b - a)) for a, b in zip([0.0, *times], times, strict=False)],
    }


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--duration-s", type=float, default=3600.0)
    parser.add_argument("--record", type=Path, help="Keep the run for the simulator's test (gzip).")
    options = parser.parse_args()
    times = arrivals(options.duration_s)
    run = real(times)
    if options.record:
        kept = json.dumps(run, separators=(",", ":")).encode()
        options.record.write_bytes(gzip.compress(kept, mtime=0))
    told = simulated(run)
    ratios = {
        "p95": round(told.p95_ms / run["client_p95_ms"], 3),
        "replica_s": round(told.replica_s / run["replica_s"], 3),
    }
    publish(
        "simulated_hour",
        {
            "duration_s": options.duration_s,
            "requests": len(times),
            "failed": run["failed"],
            "failures": run["failures"],
            "starts": run["starts"],
            "real": {"p95_ms": run["client_p95_ms"], "replica_s": run["replica_s"]},
            "simulated": {"p95_ms": round(told.p95_ms, 2), "replica_s": told.replica_s},
            "simulated_to_real": ratios,
            "budget": f"within {BUDGET:.0%}",
            "is_within_budget": all(abs(one - 1) <= BUDGET for one in ratios.values()),
        },
    )


if __name__ == "__main__":
    main()
