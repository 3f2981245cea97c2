"""How long from starting a server until it answers?

Question: from starting the process until the first right status for the tabular model and for the sentence
encoder, both loaded; servers in turns, before the machine's other work.

    python -m bench.peers.install && python -m bench.questions.start_to_ready [NAME …]
"""

import argparse
import statistics
import time
from typing import Any

from bench.harness.card import publish
from bench.peers.load import QUIET_CORES, busy_s
from bench.peers.roster import OURS, Peer, installed
from bench.peers.rounds import rotated
from bench.peers.running import running
from bench.peers.versions import versions

BUDGET_S = 1.0
FIRST = ("chrt", "--rr", "1")


def start_s(peer: Peer) -> tuple[float, float]:
    """Return the seconds until both models answer, and the cores that were busy meanwhile."""
    busy, started = busy_s(), time.perf_counter()
    with running(peer, before=FIRST):
        spent = time.perf_counter() - started
        return spent, (busy_s() - busy) / spent


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    peers = installed(options.names)
    taken: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for number in range(options.times):
        for peer in rotated(peers, number):
            spent, busy = start_s(peer)
            taken[peer.name].append(round(spent, 3))
            print(f"{peer.name:14} {spent:.3f} s, {busy:.2f} cores busy", flush=True)
    table: dict[str, Any] = {
        name: {"median_s": statistics.median(times), "best_s": min(times), "all_s": times}
        for name, times in taken.items()
    }
    ours = table[OURS]["median_s"]
    publish(
        "start_to_ready",
        {
            "budget_s": BUDGET_S,
            "ours_s": ours,
            "is_met": ours <= BUDGET_S,
            "scheduling": "real_time",
            "quiet_cores": QUIET_CORES,
            "table": table,
            "versions": versions(peers),
        },
    )


if __name__ == "__main__":
    main()
