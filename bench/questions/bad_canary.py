"""How long does a release that fails every request hurt?

Question: under about 50 requests a second, a judged rollout gives 5 % of traffic to a release that fails every
request. Time from the first bad answer to the last one, and how many there were, over several rollouts.
Beside it, what a person could do at best: the time of a `rollback` call.

    python -m bench.questions.bad_canary [--rounds 5]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from bench.harness.card import publish
from tests.e2e.installation import Installation, Load, wait_for
from tests.e2e.test_rollout import ALWAYS_FAILS

BUDGET_S = 2.0
SETTLED_S = 3.0


def one_round(installation: Installation, load: Load, turn: int) -> tuple[float, int]:
    """Deploy a failing release; return for how long it hurt, and how many answers were bad."""
    client = installation.client()
    source = f"{ALWAYS_FAILS}\n# {turn}\n"
    spec = installation.python_spec("scaling", source, rollout={"gates": {"warm_up_s": 0}})
    before = len(load.failures)
    client.deploy(spec, wait=False)
    wait_for("a bad answer", lambda: len(load.failures) > before, 60)
    first = last = time.monotonic()
    seen = len(load.failures)
    while time.monotonic() - last < SETTLED_S:
        if len(load.failures) > seen:
            seen, last = len(load.failures), time.monotonic()
        time.sleep(0.005)
    weights = client.backend("scaling")["summary"]["weights"]
    assert weights == {"v1": 100.0}, weights
    return last - first, seen - before


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Installation(Path(folder)) as installation:
        installation.client().deploy(installation.spec(2.0))
        url = f"{installation.gateway_url}/v2/models/scaling/infer"
        with Load(url=url, senders=1, pause_s=0.015) as load:
            load.wait_for_more(50)
            rounds = [one_round(installation, load, turn) for turn in range(options.rounds)]
            answered = load.answered
    hurt_s = sorted(seconds for seconds, _ in rounds)
    publish(
        "bad_canary",
        {
            "rounds": options.rounds,
            "requests_answered": answered,
            "first_to_last_bad_answer_s": [round(seconds, 3) for seconds in hurt_s],
            "first_to_last_bad_answer_s_p50": round(statistics.median(hurt_s), 3),
            "bad_answers": [bad for _, bad in rounds],
            "budget_s": BUDGET_S,
            "is_within_budget": hurt_s[-1] <= BUDGET_S,
        },
    )


if __name__ == "__main__":
    main()
