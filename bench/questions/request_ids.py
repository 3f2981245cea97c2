"""What does it cost the model server that every request through the gateway has an id of its own?

Question: a logistic regression of four features, one row a request, 16 and 64 connections of wrk straight to
our server: requests without an id, with an ``x-request-id`` each, and with all that the gateway adds and a
trace of the client's. Shares are of the requests a second without an id, round by round.

    python -m bench.peers.install pai-runtime && python -m bench.questions.request_ids
"""

import argparse
import dataclasses
import statistics
from collections import defaultdict

from bench.harness.card import publish
from bench.peers.load import Condition, measure, plain_load
from bench.peers.roster import BY_NAME, OURS
from bench.peers.running import running
from bench.peers.versions import versions

_ID = ("x-request-id=4a7e22a5-ced7-4e21-bcca-0000{n}",)
KINDS = {
    "no id": (),
    "an id": _ID,
    "the gateway's head": (
        *_ID,
        "traceparent=00-4bf92f3577b34da6a3ce929d{n}-00f067aa{n}-01",
        "x-forwarded-for=192.0.2.2",
        "x-forwarded-proto=http",
        "x-envoy-external-address=192.0.2.2",
        "x-forwarded-prefix=/tabular",
    ),
}
CONNECTIONS = (16, 64)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args()
    peer = BY_NAME[OURS]
    rates: dict[str, list[float]] = defaultdict(list)
    p99s: dict[str, list[float]] = defaultdict(list)
    shares: dict[str, list[float]] = defaultdict(list)
    bad = 0
    with running(peer) as server:
        for connections in CONNECTIONS:
            condition = Condition(
                connections=connections, seconds=options.seconds, scheduling="real_time"
            )
            for _ in range(options.rounds):
                plain = 0.0
                for kind, headers in KINDS.items():
                    load = dataclasses.replace(plain_load(server, "tabular"), headers=headers)
                    point = measure(server, load, condition)
                    bad += point.bad
                    plain = plain or point.requests_per_s
                    key = f"{kind}, {connections} connections"
                    rates[key].append(point.requests_per_s)
                    p99s[key].append(point.p99_ms)
                    shares[key].append(point.requests_per_s / plain)
                print({key: round(values[-1]) for key, values in rates.items()}, flush=True)
    publish(
        "request_ids",
        {
            "requests_per_s": {k: round(statistics.median(v)) for k, v in rates.items()},
            "p99_ms": {k: round(statistics.median(v), 3) for k, v in p99s.items()},
            "share_of_no_id": {k: round(statistics.median(v), 3) for k, v in shares.items()},
            "bad": bad,
            "scheduling": "real_time",
            "versions": versions([peer]),
        },
    )


if __name__ == "__main__":
    main()
