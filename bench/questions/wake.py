"""How long does the first request after a sleep take?

Question: a digits classifier (ONNX) with `scaling.min: 0` sleeps; its environment or image is there. From sending
one request through the gateway until its whole answer; and, with many at once, until the last answer.
Budgets: first answer at most 1.5 s on the local target, 3 s on Docker. Beside it the same start itemised.

    [chrt --rr 1] python -m bench.questions.wake [--targets local docker] [--times 5] [--at-once 50]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from bench.harness.card import publish
from tests.contract.docker_target import docker, remove_everything
from tests.e2e.installation import Installation, wait_for

BUDGET_S = {"local": 1.5, "docker": 3.0}
IDLE_S = 2.0
TRAIN = Path(__file__).parents[2] / "examples" / "01-digits" / "train.py"
READY_S = 600.0


def spec(installation: Installation, target: str) -> dict[str, Any]:
    """Return the spec of a digits backend that may sleep."""
    return {
        "name": f"digits-{target}",
        "model": {"path": str(installation.root / "v1" / "model.onnx"), "engine": "onnx"},
        "target": target,
        "scaling": {"min": 0, "max": 2, "idle_s": IDLE_S, "stable_s": 6, "hold_s": 60},
    }


def ask_s(url: str, row: list[float]) -> float:
    """Return the seconds of one request; it must be answered."""
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 64], "data": row}
    started = time.perf_counter()
    answer = httpx.post(url, json={"inputs": [tensor]}, timeout=90)
    taken = time.perf_counter() - started
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
    return taken


def wake(installation: Installation, target: str, times: int, at_once: int) -> dict[str, Any]:
    """Let it sleep and wake it, again and again."""
    name = f"digits-{target}"
    client = installation.client()
    client.deploy(spec(installation, target))
    url = f"{installation.gateway_url}/v2/models/{name}/infer"
    row = [float(v) for v in np.load(installation.root / "held_out.npz")["images"][0]]
    wait_for("the first release", lambda: httpx.post(url).status_code != 503, READY_S)

    def is_asleep() -> bool:
        found = client.backend(name)
        return found["summary"]["state"] == "asleep" and not found["replicas"]

    first_s, warm_s = [], []
    for _ in range(times):
        wait_for("asleep", is_asleep, 120)
        first_s.append(ask_s(url, row))
        warm_s.append(ask_s(url, row))
    wait_for("asleep", is_asleep, 120)
    with ThreadPoolExecutor(at_once) as pool:
        many_s = sorted(pool.map(lambda _: ask_s(url, row), range(at_once)))
    starts = [
        event["after"]["replica"]
        for event in client.events(name, limit=500)
        if event["kind"] == "replica:started"
    ]
    return {
        "first_answer_s": [round(taken, 3) for taken in first_s],
        "first_answer_s_median": round(statistics.median(first_s), 3),
        "warm_answer_ms_median": round(1000 * statistics.median(warm_s), 2),
        "at_once": at_once,
        "at_once_last_answer_s": round(many_s[-1], 3),
        "starts": len(starts),
        "itemised": dict(client.releases(name)[0].starts),
        "budget_s": BUDGET_S[target],
        "is_within_budget": statistics.median(first_s) <= BUDGET_S[target],
    }


def finish(installation: Installation, name: str) -> None:
    """Delete a backend, and wait until nothing of it runs."""
    client = installation.client()
    client.delete(name)
    wait_for("gone", lambda: name not in {one.name for one in client.status().backends}, 120)
    if not name.endswith("docker"):
        return
    names = docker("images", "--format", "{{.Repository}}", "--filter", f"reference=pai-*/{name}")
    for home in {found.partition("/")[0].removeprefix("pai-") for found in names.split()}:
        remove_everything(home)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", nargs="+", default=["local", "docker"], choices=BUDGET_S)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=50)
    options = parser.parse_args()
    is_first = os.sched_getscheduler(0) == os.SCHED_RR
    answer: dict[str, Any] = {"scheduling": "real_time" if is_first else "as others"}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, TRAIN, folder], check=True, timeout=120)
        with Installation(Path(folder)) as installation:
            for target in options.targets:
                if target != "local":
                    installation.client().add_target(target, "unix:///var/run/docker.sock")
                answer[target] = wake(installation, target, options.times, options.at_once)
                finish(installation, f"digits-{target}")
    publish("wake", answer)


if __name__ == "__main__":
    main()
