"""What a model server told, as values; and what is no telling at all."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from prometheus_ai.adapters.replicas.http import HttpReplicaReader
from prometheus_ai.domain.answers import Answer, Feedback, ReplicaReading
from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.replica import Endpoint
from tests.contract.answering import answering

HISTOGRAM = {"schema": 5, "zero_count": 0, "count": 2, "sum": 0.02, "buckets": {"-213": 2}}
COUNTS = {"ok": 7, "client_error": 1, "server_error": 2, "rejected": 5, "cancelled": 1}
TOLD = {
    "epoch": "1:2",
    "position": 9,
    "dropped": 3,
    "left_out": 4,
    "models": [
        {"requests": COUNTS, "histograms": {"queue_seconds": HISTOGRAM, "other": HISTOGRAM}},
        {"requests": COUNTS, "histograms": {"piece_gap_seconds": HISTOGRAM}},
    ],
    "answers": [
        {"request_id": "a", "model": "m", "version": "v1", "shadow": True, "labels": [7, "x"]},
        {"request_id": "b", "model": "m", "version": "v1", "shadow": False, "outputs": [1]},
    ],
    "feedback": [
        {"request_id": "a", "label": 7},
        {"request_id": "b", "label": [1, 2]},
        {"request_id": "c", "score": 1},
    ],
}


@contextmanager
def telling(status: int, body: bytes, seen: list[tuple[str, str]]) -> Iterator[Endpoint]:
    def heard(path: str, headers: Mapping[str, str]) -> None:
        seen.append((path, headers.get("x-pai-control", "")))

    with answering(status, body, heard) as port:
        yield Endpoint(host="127.0.0.1", port=port)


def read(endpoint: Endpoint) -> ReplicaReading:
    reader = HttpReplicaReader()
    try:
        return reader.read(endpoint, 5, in_full=True, share=0.25)
    finally:
        reader.close()


def test_a_reading_has_what_the_wire_carries() -> None:
    seen: list[tuple[str, str]] = []
    with telling(200, json.dumps(TOLD).encode(), seen) as endpoint:
        found = read(endpoint)
    assert seen == [("/v2/recent?after=5&full=1&share=0.2500", "1")]
    assert (found.epoch, found.position, found.dropped, found.left_out) == ("1:2", 9, 3, 4)
    assert (found.requests, found.errors) == (20, 4)
    assert found.answers == (
        Answer(request_id="a", version="v1", is_shadow=True, labels=(7, "x")),
        Answer(request_id="b", version="v1", outputs=[1]),
    )
    assert found.feedback == (
        Feedback(request_id="a", label=(7,)),
        Feedback(request_id="b", label=(1, 2)),
        Feedback(request_id="c", score=1.0),
    )
    assert set(found.quantities) == {"queue_s", "piece_gap_s", "tokens_per_s"}
    queue = found.quantities["queue_s"]
    assert (queue.count, queue.total) == (2, 0.02)
    assert queue.squares == pytest.approx(2 * 0.01**2, rel=0.05)
    assert found.quantities["tokens_per_s"].mean == pytest.approx(100, rel=0.03)


@pytest.mark.parametrize(
    ("status", "body"), [(404, b"{}"), (200, b"no json"), (200, b"{}"), (200, b"[]")]
)
def test_anything_else_is_no_reading(status: int, body: bytes) -> None:
    with telling(status, body, []) as endpoint, pytest.raises(Unavailable, match="no reading"):
        read(endpoint)
