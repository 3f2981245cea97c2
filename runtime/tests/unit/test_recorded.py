"""Requests kept to be sent again: bounded, and blanked before they are kept."""

import orjson
import pytest

from prometheus_ai_runtime.config import ConfigError, parse_config
from prometheus_ai_runtime.watch.recorded import WAITING_MAX, RecordedRequests, redacted

JSON = b"application/json"
TENSORS = orjson.dumps(
    {"inputs": [{"name": "age", "data": [41, 7]}, {"name": "city", "data": ["Ulm", "Bonn"]}]}
)


def test_what_was_kept_is_taken_once() -> None:
    requests = RecordedRequests(1000, ())
    requests.add("/v2/models/m/infer", JSON, 12, memoryview(b"{} and bytes"))
    (kept,) = requests.take()
    assert kept == ("/v2/models/m/infer", "application/json", 12, b"{} and bytes")
    assert requests.take() == []


def test_what_is_too_long_or_too_much_at_once_is_counted_and_forgotten() -> None:
    requests = RecordedRequests(10, ())
    requests.add("/m/predict", JSON, None, b"x" * 11)
    for _ in range(WAITING_MAX + 2):
        requests.add("/m/predict", JSON, None, b"{}")
    assert len(requests.take()) == WAITING_MAX
    assert requests.left_out == 3
    requests.add("/m/predict", JSON, None, b"{}")
    assert len(requests.take()) == 1


def test_inputs_and_fields_are_blanked_before_they_are_kept() -> None:
    blanked = redacted(TENSORS, {"city"})
    assert blanked is not None
    assert orjson.loads(blanked)["inputs"] == [
        {"name": "age", "data": [41, 7]},
        {"name": "city", "data": ["", ""]},
    ]
    row = orjson.dumps({"rows": [{"age": 41, "who": {"name": "Eva", "alive": True}}]})
    blanked = redacted(row, {"who", "age"})
    assert blanked is not None
    assert orjson.loads(blanked) == {"rows": [{"age": 0, "who": {"name": "", "alive": False}}]}


@pytest.mark.parametrize(
    ("json_bytes", "body"),
    [(None, TENSORS), (None, b"age,city\n1,Ulm\n"), (2, b"{}\x00\x01"), (None, b"[[1, 2]]")],
    ids=["no such name", "no JSON", "tensors as bytes", "rows without names"],
)
def test_what_cannot_be_redacted_is_not_kept(json_bytes: int | None, body: bytes) -> None:
    requests = RecordedRequests(1000, ("street",))
    requests.add("/m/predict", JSON, json_bytes, body)
    assert requests.take() == []
    assert requests.left_out == 1


def test_recording_is_configured() -> None:
    model = {"name": "m", "version": "v1", "path": "m.onnx"}
    assert parse_config(model).recording is None
    found = parse_config({**model, "recording": {"request_bytes_max": 9, "redact": ["age"]}})
    assert found.recording is not None
    assert (found.recording.request_bytes_max, found.recording.redact) == (9, ("age",))
    with pytest.raises(ConfigError, match="redact"):
        parse_config({**model, "recording": {"redact": [1]}})
