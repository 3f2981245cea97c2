"""How fast is a tiny model served, beside other servers?

Question: a logistic regression of four features, one row a request, 1, 16 and 64 connections of wrk on the
same two cores: requests a second and latency of every server, each asked in its own form, with validation,
metrics and limits on in ours.

    python -m bench.peers.install && python -m bench.questions.peers_tabular [NAME …]
"""

import argparse
from typing import Any

from bench.harness.card import publish
from bench.peers.roster import MOSEC, OURS, TRITON, installed
from bench.peers.rounds import Course, Outcome, ratio, run, table
from bench.peers.versions import versions


def verdicts(outcome: Outcome) -> list[dict[str, Any]]:
    """Return each budget with its figure; throughput on an undisturbed machine, latency on an ordinary one."""
    everybody = [name for name in outcome.servers() if name != OURS]
    asked = (
        ("64 connections, times Mosec's", 64, "real_time", MOSEC, "requests_per_s", 2.5),
        ("64 connections, times Triton's", 64, "real_time", TRITON, "requests_per_s", 3.0),
        (
            "16 connections, times the best peer's",
            16,
            "real_time",
            everybody,
            "requests_per_s",
            2.5,
        ),
        ("1 connection, p50, share of FastAPI's", 1, "ordinary", ("fastapi",), "p50_ms", 0.5),
        ("64 connections, p99, share of the best peer's", 64, "ordinary", everybody, "p99_ms", 1.0),
    )
    found = []
    for name, connections, scheduling, others, of, bound in asked:
        for way in (scheduling, "ordinary" if scheduling == "real_time" else "real_time"):
            got = ratio(outcome, connections, way, others, of)  # type: ignore[arg-type]
            if not got:
                continue
            is_met = got["ratio"] >= bound if of == "requests_per_s" else got["ratio"] <= bound
            decides = way == scheduling
            found.append({
                "budget": name, "bound": bound, "scheduling": way, **got,
                "decides": decides, "is_met": is_met,
            })  # fmt: skip
    return found


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--result", default="peers_tabular")
    options = parser.parse_args()
    peers = installed(options.names)
    course = Course(
        model="tabular", connections=(1, 16, 64), rounds=options.rounds, seconds=options.seconds
    )
    outcome = run(peers, course)
    publish(
        options.result,
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
