"""How fast is a sentence encoder served, beside other servers?

Question: all-MiniLM-L6-v2, one sentence of 14 tokens a request, tokenised in the server, 1, 16 and 64
connections of wrk on the same two cores. Everybody runs two rounds, and those who led in any cell seven
more: they differ by less than the machine does from one minute to the next. How near that is to the
model alone: in_process_limit.

    python -m bench.peers.install && python -m bench.questions.peers_minilm [NAME …]
"""

import argparse
from typing import Any

from bench.harness.card import publish
from bench.peers.roster import OURS, installed
from bench.peers.rounds import BOTH, Course, Outcome, ratio, run, table
from bench.peers.versions import versions

CONNECTIONS = (1, 16, 64)


def verdicts(outcome: Outcome) -> list[dict[str, Any]]:
    """Return each budget with its figure."""
    everybody = [name for name in outcome.servers() if name != OURS]
    found = []
    for connections in CONNECTIONS:
        got = ratio(outcome, connections, "real_time", everybody, "requests_per_s")
        if got:
            name = f"{connections} connections, more than every peer"
            way = {"bound": 1.0, "scheduling": "real_time", "decides": True}
            found.append({"budget": name, **way, **got, "is_met": got["ratio"] > 1.0})
    for scheduling in BOTH:
        got = ratio(outcome, 64, scheduling, everybody, "p99_ms")
        if got:
            name = "64 connections, p99, less than every peer"
            decides = scheduling == "ordinary"
            way = {"bound": 1.0, "scheduling": scheduling, "decides": decides}
            found.append({"budget": name, **way, **got, "is_met": got["ratio"] < 1.0})
    return found


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=2, help="with everybody")
    parser.add_argument("--rounds-of-leaders", type=int, default=7, help="after these")
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    peers = installed(options.names)
    course = Course(
        model="minilm", connections=CONNECTIONS, rounds=options.rounds, seconds=options.seconds,
        rounds_of_leaders=options.rounds_of_leaders,
    )  # fmt: skip
    outcome = run(peers, course)
    publish(
        "peers_minilm",
        {
            "verdicts": verdicts(outcome),
            "table": table(outcome, course),
            "largest_error": outcome.errors,
            "versions": versions(peers),
            "points": [point.as_json() for point in outcome.points],
        },
    )


if __name__ == "__main__":
    main()
