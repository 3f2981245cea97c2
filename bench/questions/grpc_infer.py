"""How fast is ModelInfer over gRPC, beside other servers?

Question: the tabular model, one row a call, 16 connections of h2load (nghttp2) on the same two cores, one call
at a time on each; every server's answers are compared with the model's own through `tritonclient` first.
h2load does not read gRPC's status; so the answers are compared once more after the load.

    python -m bench.peers.install && python -m bench.questions.grpc_infer [NAME …]
"""

import argparse
import re
import statistics
import struct
import subprocess
import tempfile
from typing import Any

import numpy as np
import tritonclient.grpc as client
from tritonclient.grpc import service_pb2

from bench.harness.card import publish
from bench.peers.load import schedule
from bench.peers.roster import OURS, TRITON, installed
from bench.peers.rounds import rotated
from bench.peers.running import Running, expected, questions, running
from bench.peers.versions import versions

CONNECTIONS = 16
PATH = "/inference.GRPCInferenceService/ModelInfer"


def message(row: list[float]) -> bytes:
    """Return one framed call."""
    asked = service_pb2.ModelInferRequest(model_name="tabular")
    tensor = asked.inputs.add(name="input", datatype="FP32", shape=[1, 4])
    del tensor
    asked.raw_input_contents.append(np.array(row, dtype="<f4").tobytes())
    body: bytes = asked.SerializeToString()
    return struct.pack(">BI", 0, len(body)) + body


def check(server: Running) -> None:
    """Compare every answer; raises AssertionError."""
    with client.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as asking:
        for index, row in enumerate(questions()["tabular"]):
            given = client.InferInput("input", [1, 4], "FP32")
            given.set_data_from_numpy(np.array([row], dtype=np.float32))
            answer = asking.infer("tabular", [given], client_timeout=10)
            right = expected(index)
            assert int(values(answer, "label")[0]) == int(right["labels"])
            np.testing.assert_allclose(
                values(answer, "probabilities"), right["probabilities"], atol=1e-4
            )


def values(answer: Any, name: str) -> Any:
    """Return an output's values, whether they came as raw bytes or as fields of the message."""
    if answer.get_response().raw_output_contents:
        return answer.as_numpy(name).reshape(-1)
    contents = answer.get_output(name).contents
    # Servers choose the field that their own types suggest.
    for _, found in contents.ListFields():
        return np.array(found)
    raise AssertionError(f"the answer has no values for {name}")


def rate(server: Running, seconds: float) -> dict[str, float]:
    """Return calls a second and the mean time of a call."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(message(questions()["tabular"][0]))
        body.flush()
        schedule(server.members(), "real_time")
        done = subprocess.run(
            ["chrt", "--rr", "1", "h2load", "--threads=1", f"--clients={CONNECTIONS}",
             "--max-concurrent-streams=1", f"--duration={seconds:g}", "--warm-up-time=1",
             f"--data={body.name}", "--header=content-type: application/grpc",
             "--header=te: trailers", f"http://127.0.0.1:{server.grpc_port}{PATH}"],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
    counts = dict(re.findall(r"(\d+) (succeeded|failed|errored|timeout)", done.stdout))
    failed = sum(int(n) for n, kind in counts.items() if kind != "succeeded")
    calls = re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", done.stdout)
    assert calls is not None, done.stdout
    return {"calls_per_s": float(calls[1]), "failed": failed}


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    peers = [peer for peer in installed(options.names) if peer.has_grpc]
    rates: dict[str, list[dict[str, float]]] = {peer.name: [] for peer in peers}
    for number in range(options.rounds):
        for peer in rotated(peers, number):
            with running(peer) as server:
                check(server)
                rates[peer.name].append(rate(server, options.seconds))
                check(server)
            print(peer.name, rates[peer.name][-1], flush=True)
    medians = {
        name: statistics.median(one["calls_per_s"] for one in taken)
        for name, taken in rates.items()
    }
    python = [name for name in medians if name not in (OURS, *TRITON)]
    answer: dict[str, Any] = {
        "calls_per_s": {name: round(value, 1) for name, value in medians.items()},
        "ratios": {n: round(medians[OURS] / v, 3) for n, v in medians.items() if n != OURS},
        "is_met": bool(python) and all(medians[OURS] > medians[name] for name in python),
        "connections": CONNECTIONS,
        "scheduling": "real_time",
        "points": rates,
        "versions": versions(peers),
    }
    publish("grpc_infer", answer)


if __name__ == "__main__":
    main()
