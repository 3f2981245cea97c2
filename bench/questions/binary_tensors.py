"""What does a request of one megabyte cost beyond copying it and running the model?

Question: v2 binary tensors, 256 rows of 1,024 FP32 a request, one connection, binary answer. Turn by turn:
our server; a bare socket server that receives into one buffer, runs the model and sends (the limit of the
budget: the kernel copies each byte twice on loopback); and a loop that copies the bytes once and runs the
model, without a socket, which no server can come near.

    python -m bench.peers.install pai-runtime && python -m bench.questions.binary_tensors
"""

import argparse
import contextlib
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness.card import publish
from bench.peers.load import Condition, Load, measure
from bench.peers.roster import BY_NAME, HERE, MODELS, OURS, Peer
from bench.peers.running import Running, running
from bench.peers.versions import versions

BUDGET = 0.8
ROWS, WIDTH = 256, 1024
_FIRST = ("chrt", "--rr", "1")


def request() -> tuple[bytes, bytes, Any]:
    """Return the JSON part, the tensor's bytes and the right answer."""
    values = np.random.default_rng(7).random((ROWS, WIDTH), dtype=np.float32)
    tensor = {
        "name": "input", "shape": [ROWS, WIDTH], "datatype": "FP32",
        "parameters": {"binary_data_size": values.nbytes},
    }  # fmt: skip
    asked = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    return json.dumps(asked).encode(), values.tobytes(), values.mean(axis=1)


def check(server: Running, head: bytes, raw: bytes, expected: Any) -> None:
    """Ask once and compare; raises AssertionError."""
    headers = {"Inference-Header-Content-Length": str(len(head))}
    got = server.post("/v2/models/wide/infer", head + raw, headers)
    np.testing.assert_allclose(np.frombuffer(got[-ROWS * 4 :], "<f4"), expected, rtol=1e-4)


@contextlib.contextmanager
def bare(peer: Peer) -> Iterator[Running]:
    """Yield the socket server that does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        command = [str(peer.folder / "bin" / "python"), str(HERE / "wide_loop.py"), "socket"]
        process = subprocess.Popen(
            [*command, str(port_file)], env=peer.environ(), start_new_session=True
        )
        try:
            end = time.monotonic() + 30
            while not (port_file.is_file() and port_file.read_text()):
                assert time.monotonic() < end, "the bare server did not start"
                time.sleep(0.01)
            named = dataclasses.replace(peer, name="bare socket")
            port = int(port_file.read_text())
            yield Running(peer=named, port=port, grpc_port=0, pid=process.pid)
        finally:
            process.kill()
            process.wait(timeout=10)


def copying(peer: Peer, seconds: float) -> float:
    """Return requests a second of copying and running alone."""
    command = [*_FIRST, str(peer.folder / "bin" / "python"), str(HERE / "wide_loop.py"), "copy"]
    done = subprocess.run(
        [*command, str(seconds)], env=peer.environ(), capture_output=True, text=True, check=True,
        timeout=120,
    )  # fmt: skip
    return float(done.stdout)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    subprocess.run([sys.executable, str(HERE / "make_wide.py"), str(MODELS)], check=True)
    ours, config = BY_NAME[OURS], MODELS / "wide.json"
    peer = dataclasses.replace(ours, program=(*ours.program, "--config", str(config)))
    head, raw, expected = request()
    wide = {"name": "wide", "version": "1", "path": str(MODELS / "wide.onnx")}
    config.write_text(json.dumps({**wide, "batching": {"rows_max": ROWS}}))
    headers = [f"Inference-Header-Content-Length={len(head)}"]
    headers.append("Content-Type=application/octet-stream")
    load = Load(model="wide", path="/v2/models/wide/infer", bodies=[head + raw], headers=headers)
    condition = Condition(connections=1, seconds=options.seconds, scheduling="real_time")
    rates: dict[str, list[float]] = {"ours": [], "bare socket": [], "copy and model": []}
    bad = 0
    with running(peer) as server, bare(peer) as least:
        check(server, head, raw, expected)
        for _ in range(options.rounds):
            rates["copy and model"].append(copying(peer, options.seconds))
            for name, one in (("ours", server), ("bare socket", least)):
                point = measure(one, load, condition)
                rates[name].append(point.requests_per_s)
                bad += point.bad
            print({name: round(values[-1], 1) for name, values in rates.items()}, flush=True)
        check(server, head, raw, expected)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    shares = [a / b for a, b in zip(rates["ours"], rates["bare socket"], strict=True)]
    share, loop = statistics.median(shares), medians["copy and model"]
    publish(
        "binary_tensors",
        {
            "budget": BUDGET,
            "request_bytes": len(head) + len(raw),
            "requests_per_s": {name: round(value, 1) for name, value in medians.items()},
            "share_of_bare_socket": round(share, 3),
            "shares_of_bare_socket": [round(one, 3) for one in sorted(shares)],
            "share_of_copy_and_model": round(medians["ours"] / loop, 3),
            "bare_socket_share_of_copy_and_model": round(medians["bare socket"] / loop, 3),
            "is_met": share >= BUDGET,
            "bad": bad,
            "scheduling": "real_time",
            "versions": versions([peer]),
        },
    )


if __name__ == "__main__":
    main()
