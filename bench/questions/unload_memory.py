"""Does unloading a model return its memory?

Question: resident memory of a server and its workers before loading, loaded, and after unloading a model of
so many MiB, again and again; the model once in a worker process of its own and once inside the server.

    python -m bench.questions.unload_memory [--mib 400] [--times 5]
"""

import argparse
import http.client
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.harness.card import publish
from bench.harness.server import ModelServer, model_server, workers

MODEL = """
import numpy as np


class Heavy:
    signature = {{
        "inputs": [{{"name": "x", "datatype": "FP32", "shape": [-1]}}],
        "outputs": [{{"name": "y", "datatype": "FP32", "shape": [-1]}}],
    }}

    def load(self, folder):
        # In pieces, as a model's layers are: a single block would always go back to the system.
        self.layers = [np.ones(256 * 64, np.float32) for _ in range({mib} * 16)]

    def predict(self, batch):
        return {{"y": batch["x"] * self.layers[0][0]}}
"""
BUDGET_SHARE = 0.95
"""Of what loading took, so much must be back after unloading."""
SETTLE_S = 10.0


def ask(server: ModelServer, method: str, path: str, body: Any = None) -> int:
    """Ask once; return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def turn(server: ModelServer, model: str) -> dict[str, float]:
    """Load, ask, and unload once."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1.0]}
    before = server.resident_mib()
    assert ask(server, "POST", f"/v2/repository/models/{model}/load") == 200
    assert ask(server, "POST", f"/v2/models/{model}/infer", {"inputs": [tensor]}) == 200
    loaded = server.resident_mib()
    assert ask(server, "POST", f"/v2/repository/models/{model}/unload") == 200
    until = time.monotonic() + SETTLE_S
    while workers(server.pid) and time.monotonic() < until:
        time.sleep(0.05)
    after = server.resident_mib()
    took = loaded - before
    return {
        "before_mib": round(before, 1),
        "loaded_mib": round(loaded, 1),
        "after_mib": round(after, 1),
        "returned_share": round((loaded - after) / took, 3) if took > 0 else 0.0,
    }


def measure(isolation: str, mib: int, times: int) -> list[dict[str, float]]:
    """Return the turns with a model in one kind of process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.py").write_text(MODEL.format(mib=mib))
        model = {
            "name": "heavy", "version": "1", "path": str(folder / "model.py"),
            "engine": "python", "isolation": isolation,
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps({"models": [model]}))
        with model_server(folder, "--config", str(folder / "config.json")) as server:
            # Begin from an empty server that has loaded everything else it needs.
            assert ask(server, "POST", "/v2/repository/models/heavy/unload") == 200
            return [turn(server, "heavy") for _ in range(times)]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=400)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    table = {kind: measure(kind, options.mib, options.times) for kind in ("process", "none")}
    worst = min(row["returned_share"] for row in table["process"])
    publish(
        "unload_memory",
        {
            "model_mib": options.mib,
            "budget_returned_share": BUDGET_SHARE,
            "worst_returned_share": worst,
            "is_within_budget": worst >= BUDGET_SHARE,
            "own_process": table["process"],
            "inside_the_server": table["none"],
        },
    )


if __name__ == "__main__":
    main()
