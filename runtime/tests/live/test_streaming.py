"""Server-sent events of models that yield."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from runtime.tests.conftest import wait_until

COUNTING = '''
import threading
from collections.abc import Iterator

import numpy as np


class Counting:
    """Yields the numbers up to n; remembers how far it came."""

    signature = {
        "inputs": [{"name": "n", "datatype": "INT64", "shape": [-1]}],
        "outputs": [{"name": "number", "datatype": "INT64", "shape": [-1]}],
    }

    def load(self, folder):
        self.trace = folder / "trace"

    def predict(self, batch):
        return {"number": batch["n"]}

    def stream(self, batch):
        last = int(batch["n"][0])
        given = 0
        try:
            for number in range(last):
                if number == 13 and last == 20:
                    raise ValueError("thirteen")
                given = number
                yield {"number": np.array([number])}
                if last > 100:
                    threading.Event().wait(0.005)
        finally:
            self.trace.write_text(str(given))
'''


@pytest.fixture
def counting(serve: Any, python_model: Any) -> Any:
    return serve(f"counting={python_model(COUNTING)}")


def events(body: bytes) -> list[tuple[str, Any]]:
    found = []
    for block in body.decode().strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields.get("event", "message"), json.loads(fields["data"])))
    return found


def test_a_streaming_model_is_answered_piece_by_piece(counting: Any) -> None:
    answer = counting.ask("/counting/predict", {"n": 3}, {"accept": "text/event-stream"})
    assert answer.headers["content-type"] == "text/event-stream"
    assert events(answer.body) == [
        *(("message", {"number": n}) for n in range(3)),
        ("end", {}),
    ]
    body = {"id": "a", "inputs": [{"name": "n", "datatype": "INT64", "shape": [1], "data": [1]}]}
    streamed = counting.ask("/v2/models/counting/infer_stream", body)
    (_, piece), _ = events(streamed.body)
    assert piece["id"] == "a"
    assert piece["outputs"] == [{"name": "number", "datatype": "INT64", "shape": [1], "data": [0]}]
    histograms = counting.ask("/metrics.json").json["models"][0]["histograms"]
    assert histograms["first_piece_seconds"]["count"] == 2
    assert histograms["piece_gap_seconds"]["count"] == 2


def test_a_failure_under_way_is_an_event(counting: Any) -> None:
    answer = counting.ask("/counting/predict", {"n": 20}, {"accept": "text/event-stream"})
    kind, last = events(answer.body)[-1]
    assert kind == "error"
    assert "thirteen" in last["error"]


def test_the_model_stops_when_the_client_goes_away(counting: Any, tmp_path: Path) -> None:
    assert counting.ask("/counting/predict", {"n": 3}, {"accept": "text/event-stream"}).body
    (tmp_path / "trace").unlink()
    with socket.create_connection(("127.0.0.1", counting.port), timeout=30) as raw:
        body = json.dumps({"n": 10_000_000})
        raw.sendall(
            b"POST /counting/predict HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body.encode())
        )
        assert b"200 OK" in raw.recv(4096)
    wait_until((tmp_path / "trace").exists, "the model's iterator is closed")
    assert counting.ask("/counting/predict", {"n": 5}).json == {"number": 5}
    counts = counting.ask("/metrics.json").json["models"][0]["requests"]
    assert counts["cancelled"] == 1


def test_a_model_that_does_not_yield_gives_one_event(serve: Any, iris_onnx: Path) -> None:
    running = serve(f"iris={iris_onnx}")
    answer = running.ask("/iris/predict", [[5.1, 3.5, 1.4, 0.2]], {"accept": "text/event-stream"})
    (kind, row), end = events(answer.body)
    assert (kind, row["label"], end) == ("message", 0, ("end", {}))


ONLY_STREAM = COUNTING.replace(
    'def predict(self, batch):\n        return {"number": batch["n"]}\n', ""
)


@pytest.mark.parametrize("isolation", ["none", "process"])
@pytest.mark.parametrize("source", [COUNTING, ONLY_STREAM], ids=["both", "only-stream"])
def test_isolated_models_stream_too(
    serve: Any, python_model: Any, isolation: str, source: str
) -> None:
    model = {"name": "counting", "version": "1", "path": python_model(source)}
    running = serve(**model, isolation=isolation)
    for _ in range(2):
        answer = running.ask("/counting/predict", {"n": 3}, {"accept": "text/event-stream"})
        assert events(answer.body) == [
            *(("message", {"number": n}) for n in range(3)),
            ("end", {}),
        ]
    failing = running.ask("/counting/predict", {"n": 20}, {"accept": "text/event-stream"})
    assert events(failing.body)[-1][0] == "error"
    again = running.ask("/counting/predict", {"n": 1}, {"accept": "text/event-stream"})
    assert events(again.body)[0] == ("message", {"number": 0})
