"""Bodies that are received in place, on real sockets."""

import json
import socket
import time
from typing import Any

import numpy as np
import pytest
from runtime.tests.conftest import wait_until

SUMMING = '''
class Summing:
    """Sums rows of a thousand kilobytes."""

    signature = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 250000]}],
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [-1]}],
    }

    def predict(self, batch):
        return {"y": batch["x"].sum(axis=1, dtype=float)}
'''


@pytest.fixture
def summing(serve: Any, python_model: Any) -> Any:
    return serve(f"summing={python_model(SUMMING)}")


def request(values: Any) -> bytes:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 250000]}
    tensor["parameters"] = {"binary_data_size": values.nbytes}
    text = json.dumps({"inputs": [tensor]}).encode()
    return (
        b"POST /v2/models/summing/infer HTTP/1.1\r\nhost: x\r\n"
        b"inference-header-content-length: %d\r\ncontent-length: %d\r\n\r\n"
        % (len(text), len(text) + values.nbytes)
        + text
        + values.tobytes()
    )


def answers(raw: socket.socket, n: int) -> list[float]:
    data = b""
    while data.count(b"]}]}") < n:
        got = raw.recv(65536)
        assert got, data
        data += got
    return [float(part.split(b'"data":[')[1]) for part in data.split(b"]}]}")[:n]]


@pytest.mark.parametrize("piece", [1_000, 100_000, 10_000_000])
def test_a_large_body_arrives_whole_however_it_is_cut(summing: Any, piece: int) -> None:
    rows = [np.full(250000, n, np.float32) for n in (1, 2, 3)]
    data = b"".join(request(row) for row in rows)
    with socket.create_connection(("127.0.0.1", summing.port), timeout=60) as raw:
        for start in range(0, len(data), piece):
            raw.sendall(data[start : start + piece])
        assert answers(raw, 3) == [250000.0, 500000.0, 750000.0]


def test_large_bodies_of_one_head_may_be_followed_by_anything(summing: Any) -> None:
    live = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", summing.port), timeout=60) as raw:
        for n in (1, 2, 3, 4):
            raw.sendall(request(np.full(250000, n, np.float32)))
            assert answers(raw, 1) == [250000.0 * n]
        for piece in (live[:9], live[9:]):
            raw.sendall(piece)
        assert raw.recv(65536).startswith(b"HTTP/1.1 200 OK")
        for n in (5, 6, 7):
            whole = request(np.full(250000, n, np.float32))
            for piece in (whole[:20], whole[20:300_000], whole[300_000:]):
                raw.sendall(piece)
                time.sleep(0.02)
            assert answers(raw, 1) == [250000.0 * n]
        wrong = np.full(250000, 8, np.float32)
        wrong[-1] = np.inf
        raw.sendall(request(wrong))
        assert b"row 0 has NaN or infinity" in raw.recv(65536)
        raw.sendall(request(np.full(250000, 9, np.float32))[:500_000])
    wait_until(lambda: connections(summing) == 1, "the connection is gone")


def test_a_client_that_leaves_in_the_middle_is_forgotten(summing: Any) -> None:
    with socket.create_connection(("127.0.0.1", summing.port), timeout=60) as raw:
        raw.sendall(request(np.ones(250000, np.float32))[:500_000])
        wait_until(lambda: connections(summing) == 2, "the server has the connection")
    wait_until(lambda: connections(summing) == 1, "the connection is gone")
    with socket.create_connection(("127.0.0.1", summing.port), timeout=60) as raw:
        raw.sendall(request(np.ones(250000, np.float32)))
        assert answers(raw, 1) == [250000.0]


def test_a_body_that_does_not_come_is_given_up(serve: Any, python_model: Any) -> None:
    model = {"name": "summing", "version": "1", "path": python_model(SUMMING)}
    running = serve(models=[model], timeouts={"body_s": 0.3})
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as raw:
        raw.sendall(request(np.ones(250000, np.float32))[:500_000])
        began = time.monotonic()
        assert raw.recv(65536).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 30
        assert raw.recv(65536) == b""


def connections(running: Any) -> int:
    text = running.ask("/metrics").body.decode()
    return int(text.split("\npai_connections ")[1].split()[0])
