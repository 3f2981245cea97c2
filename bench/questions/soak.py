"""Does a server at full load keep its memory?

Question: resident memory every 10 s under full load, for ten minutes: wrk sends rows as fast as answers come,
while one more client sends what fails or is rare (wrong tensors, broken bodies, CSV, binary tensors, metrics,
clients that go away). The slope is a line through the second half, where caches are warm.

    python -m bench.questions.soak [--seconds 600] [--connections 64]
"""

import argparse
import http.client
import itertools
import json
import os
import random
import socket
import statistics
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from bench.harness.card import publish
from bench.harness.server import ModelServer, model_server
from bench.peers.roster import HERE

FEATURES = 16
SAMPLE_S = 10.0
BUDGET_MIB_PER_HOUR = 30.0
"""Slope that counts as flat: samples differ by so much from pages alone."""
PAUSE_S = 0.02
PATH = "/v2/models/tabular/infer"


def write_model(path: Path) -> None:
    """Train and write a tabular classifier."""
    chance = np.random.default_rng(1)
    rows = chance.random((200, FEATURES), dtype=np.float32)
    fitted = LogisticRegression(max_iter=200).fit(rows, (rows.sum(axis=1) > FEATURES / 2))
    model = to_onnx(fitted, rows[:1], options={"zipmap": False})
    path.write_bytes(model.SerializeToString())


def body(rows: list[list[float]], name: str, datatype: str = "FP32") -> bytes:
    """Return an inference body."""
    flat = [value for row in rows for value in row]
    tensor = {"name": name, "datatype": datatype, "shape": [len(rows), FEATURES], "data": flat}
    return json.dumps({"inputs": [tensor]}).encode()


def bodies(name: str) -> list[bytes]:
    """Return bodies of many sizes."""
    chance = random.Random(3)
    return [
        body([[round(chance.random(), 4) for _ in range(FEATURES)] for _ in range(rows)], name)
        for rows in (1, 1, 1, 2, 3, 8, 1, 1) * 16
    ]


class Oddities(threading.Thread):
    """Sends what fails or is rare until stopped, and counts the answers."""

    def __init__(self, server: ModelServer, name: str) -> None:
        super().__init__(name="oddities")
        self.stopping = threading.Event()
        self.answers: Counter[str] = Counter()
        self._port = server.port
        raw = struct.pack(f"<{FEATURES}f", *range(FEATURES))
        head = {
            "name": name, "datatype": "FP32", "shape": [1, FEATURES],
            "parameters": {"binary_data_size": len(raw)},
        }  # fmt: skip
        text = json.dumps({"inputs": [head]}).encode()
        row = ",".join(["0.5"] * FEATURES).encode()
        self._turns: list[tuple[str, str, bytes | None, dict[str, str]]] = [
            ("POST", PATH, body([[0.1] * FEATURES], name, "BYTES"), {}),
            ("POST", PATH, b'{"inputs": [', {}),
            ("POST", PATH, text + raw, {"inference-header-content-length": str(len(text))}),
            ("POST", "/tabular/predict", row + b"\n" + row, {"content-type": "text/csv"}),
            ("GET", "/metrics", None, {}),
            ("GET", "/v2/models/absent", None, {}),
        ]

    def run(self) -> None:
        """Take turns."""
        for number in itertools.count():
            if self.stopping.wait(PAUSE_S):
                return
            method, path, data, headers = self._turns[number % len(self._turns)]
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            try:
                connection.request(method, path, data, headers)
                response = connection.getresponse()
                response.read()
                self.answers[f"{method} {path} {response.status}"] += 1
            finally:
                connection.close()
            self._leave_early()

    def _leave_early(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=5) as gone:
            gone.sendall(b"POST " + PATH.encode() + b" HTTP/1.1\r\ncontent-length: 1000\r\n\r\n{")


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder / "tabular.onnx")
        with model_server(folder, f"tabular={folder / 'tabular.onnx'}") as server:
            answer = soak(server, folder, options.seconds, options.connections)
    publish("soak", answer)


def soak(server: ModelServer, folder: Path, seconds: int, connections: int) -> dict[str, Any]:
    """Load a server and watch its memory."""
    name = _input_name(server)
    file = folder / "bodies"
    file.write_bytes(b"".join(b"%d\n%b" % (len(one), one) for one in bodies(name)))
    odd = Oddities(server, name)
    load = subprocess.Popen(
        ["wrk", "--threads", "1", "--connections", str(connections), "--timeout", "10s",
         "--script", str(HERE / "wrk" / "post.lua"), "--duration", f"{seconds}s",
         f"http://127.0.0.1:{server.port}{PATH}", "--", str(file)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    odd.start()
    started, samples = time.monotonic(), []
    try:
        while load.poll() is None:
            samples.append((time.monotonic() - started, server.resident_mib()))
            print(f"{samples[-1][0]:6.0f} s  {samples[-1][1]:.1f} MiB", flush=True)
            try:
                load.wait(SAMPLE_S)
            except subprocess.TimeoutExpired:
                continue
        written = load.communicate()[0]
    finally:
        load.kill()
        odd.stopping.set()
        odd.join(60)
    found = json.loads(written.splitlines()[-1])
    late = samples[len(samples) // 2 :]
    slope = statistics.linear_regression(*zip(*late, strict=True)).slope * 3600
    return {
        "seconds": seconds,
        "connections": connections,
        "scheduling": f"ordinary, niceness {os.nice(0)}",
        "requests": found["requests"],
        "bad": found["bad"],
        "rss_mib": [round(mib, 1) for _, mib in samples],
        "slope_mib_per_hour": round(slope, 2),
        "growth_of_second_half_mib": round(late[-1][1] - late[0][1], 2),
        "budget_mib_per_hour": BUDGET_MIB_PER_HOUR,
        "is_flat": slope <= BUDGET_MIB_PER_HOUR and found["bad"] == 0,
        "oddities": dict(sorted(odd.answers.items())),
    }


def _input_name(server: ModelServer) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", "/v2/models/tabular")
        return str(json.loads(connection.getresponse().read())["inputs"][0]["name"])
    finally:
        connection.close()


if __name__ == "__main__":
    main()
