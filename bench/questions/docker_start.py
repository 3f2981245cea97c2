"""How long until a new replica on Docker is ready, beyond what its model takes to load?

Question: on a real installation with a Docker target and the image present, time from asking for one more
replica (`scale`) until the control plane says that it is ready; less what the model server says that loading
and warming up took. Reading the library counts as ours. Two models of the same digits: ONNX, and scikit-learn.

    python -m bench.questions.docker_start [--times 7]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import skops.io
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from bench.harness.card import publish
from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.client import Client
from prometheus_ai.control.containers.images import installation_id
from tests.contract.docker_target import remove_everything
from tests.e2e.installation import Installation, wait_for, write_scaling_model

BUDGET_S = 2.0
OWN_PHASES = ("load", "warm_up")
PAUSE_S = 0.01
BOUND_S = 120.0


def ready(client: Client, name: str) -> dict[str, str]:
    """Return the endpoints of ready replicas by id."""
    replicas = client.backend(name)["replicas"]
    return {one["id"]: one["endpoint"] for one in replicas if one["phase"] == "ready"}


def one_start(client: Client, name: str) -> dict[str, float]:
    """Ask for a second replica; return its time to ready, and what its server says of it."""
    before = set(ready(client, name))
    started = time.perf_counter()
    client.scale(name, 2)
    while not (new := {i: e for i, e in ready(client, name).items() if i not in before}):
        assert time.perf_counter() - started < BOUND_S, client.why(name)
        time.sleep(PAUSE_S)
    whole_s = time.perf_counter() - started
    (endpoint,) = new.values()
    phases = httpx.get(f"http://{endpoint}/v2/health/state").json()["phases_s"]
    client.scale(name, 1)
    wait_for("one replica", lambda: len(client.backend(name)["replicas"]) == 1, BOUND_S)
    own_s = sum(phases.get(phase, 0.0) for phase in OWN_PHASES)
    return {
        "whole_s": round(whole_s, 3),
        "import_s": round(phases.get("import", 0.0), 3),
        "own_load_s": round(own_s, 3),
        "beyond_s": round(whole_s - own_s, 3),
    }


def measured(client: Client, spec: dict[str, Any], times: int) -> dict[str, Any]:
    """Deploy a spec and start replicas of it."""
    client.deploy(spec, wait=600)
    taken = [one_start(client, spec["name"]) for _ in range(times)]
    client.delete(spec["name"])
    return {
        "beyond_s_median": statistics.median(one["beyond_s"] for one in taken),
        "beyond_s_max": max(one["beyond_s"] for one in taken),
        "starts": taken,
    }


def specs(root: Path) -> list[dict[str, Any]]:
    """Write two models and return their specs."""
    write_scaling_model(root / "model.onnx", 2.0)
    images, labels = load_digits(return_X_y=True)
    skops.io.dump(LogisticRegression(max_iter=2000).fit(images, labels), root / "model.skops")
    common = {"target": "docker", "resources": {"cpu": 1, "memory": "512Mi"}}
    return [
        {"name": "small-onnx", "model": {"path": str(root / "model.onnx")}, **common},
        {"name": "digits-sklearn", "model": {"path": str(root / "model.skops")}, **common},
    ]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=7)
    times: int = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        installation = Installation(Path(folder))
        try:
            with installation:
                client = installation.client()
                client.add_target("docker")
                table = {
                    spec["name"]: measured(client, spec, times) for spec in specs(Path(folder))
                }
        finally:
            database = installation.home / "state" / "pai.db"
            remove_everything(installation_id(SqlStore.open(database)))
    worst_s = max(found["beyond_s_median"] for found in table.values())
    publish(
        "docker_start",
        {
            "budget_s": BUDGET_S,
            "worst_median_s": worst_s,
            "is_met": worst_s <= BUDGET_S,
            "table": table,
        },
    )


if __name__ == "__main__":
    main()
