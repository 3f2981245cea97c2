"""How long does a rollback take from the API call, and is a request lost to it?

Question: under steady load, traffic is split between two releases of one backend; milliseconds from the call of
`rollback` until it answers that the old weights are in force. Once with weights set by hand, and once in the
middle of a judged rollout. Beside it, what the gateway's own flip takes (`bench.questions.flip`).

    python -m bench.questions.rollback [--rounds 30] [--judged 5]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.harness.card import publish
from prometheus_ai.client import Client
from tests.e2e.installation import Installation, Load, wait_for

BUDGET_MS = 50.0
SETTLED_S = 0.5


def timed(client: Client) -> float:
    """Roll back; return the milliseconds until the call said that it is in force."""
    started = time.perf_counter()
    done = client.rollback("scaling")
    took_ms = (time.perf_counter() - started) * 1000
    assert done.is_in_force, done
    return took_ms


def by_hand(client: Client, rounds: int) -> list[float]:
    """Split traffic between both releases and take it back, again and again."""
    taken = []
    for _ in range(rounds):
        client.route("scaling", {"v1": 50, "v2": 50})
        time.sleep(SETTLED_S)
        # Of weights by hand the newest stable release is the one before: back to it by name.
        started = time.perf_counter()
        done = client.rollback("scaling", to="v1")
        taken.append((time.perf_counter() - started) * 1000)
        assert done.is_in_force, done
        time.sleep(SETTLED_S)
    return taken


def judged(installation: Installation, client: Client, rounds: int) -> list[float]:
    """Begin judged rollouts and roll each back on its first step."""
    policy: dict[str, Any] = {"steps": [50, 100], "step_s": 3600, "patience_s": 7200}
    taken = []
    for turn in range(rounds):
        client.deploy(installation.spec(10.0 + turn, rollout=policy), wait=False)
        wait_for(
            "the first step",
            lambda: len(client.backend("scaling")["summary"]["weights"]) == 2,
            120,
        )
        time.sleep(SETTLED_S)
        taken.append(timed(client))
        time.sleep(SETTLED_S)
    return taken


def told(taken: list[float]) -> dict[str, Any]:
    """Return what is said of some times."""
    return {
        "rounds": len(taken),
        "p50_ms": round(statistics.median(taken), 1),
        "max_ms": round(max(taken), 1),
    }


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--judged", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Installation(Path(folder)) as installation:
        client = installation.client()
        client.deploy(installation.spec(2.0))
        client.deploy(installation.spec(3.0), weight=0)
        url = f"{installation.gateway_url}/v2/models/scaling/infer"
        with Load(url=url, senders=2, pause_s=0.01) as load:
            load.wait_for_more(50)
            hand = by_hand(client, options.rounds)
            rollouts = judged(installation, client, options.judged)
            answered, lost = load.answered, len(load.failures)
    publish(
        "rollback",
        {
            "by_hand": told(hand),
            "in_a_judged_rollout": told(rollouts),
            "budget_ms": BUDGET_MS,
            "requests_answered": answered,
            "requests_lost": lost,
            "is_within_budget": lost == 0
            and max(statistics.median(hand), statistics.median(rollouts)) <= BUDGET_MS,
        },
    )


if __name__ == "__main__":
    main()
