"""How close does our server come to the model in a loop without a server?

Question: the sentence encoder, 1, 16 and 64 connections, against the model alone in batches of 1, 16 and 32,
turn by turn on the same two cores. Budget: 0.93 of the limit. Beside them, two that tell where the rest
goes: the loop with its weights on huge pages, as the server puts them, and the loop behind a bare socket.

    python -m bench.peers.install pai-runtime && python -m bench.questions.in_process_limit
"""

import argparse

from bench.harness.card import publish
from bench.peers.limit import pairs
from bench.peers.roster import BY_NAME, OURS
from bench.peers.versions import versions

BUDGET = 0.93


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    cells = pairs(BY_NAME[OURS], options.turns, options.seconds)
    publish(
        "in_process_limit",
        {
            "budget": BUDGET,
            "cells": cells,
            "is_met": all(cell["share"] >= BUDGET for cell in cells),
            "scheduling": "real_time",
            "versions": versions([BY_NAME[OURS]]),
        },
    )


if __name__ == "__main__":
    main()
