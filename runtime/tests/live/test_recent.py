"""Answers and feedback as the control plane fetches them, over a real server."""

from base64 import b64decode
from json import loads
from typing import Any

import pytest

DOUBLE = '''
import numpy as np


class Double:
    """Twice the number."""

    signature = {
        "inputs": [{"name": "x", "datatype": "INT64", "shape": [-1]}],
        "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1]}],
    }

    def predict(self, batch):
        return {"label": batch["x"] * 2}
'''
CONTROL = {"x-pai-control": "1"}


@pytest.fixture
def double(serve: Any, python_model: Any) -> Any:
    return serve(f"double={python_model(DOUBLE)}")


def tensor(value: int) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": "INT64", "shape": [1], "data": [value]}]}


def ask(server: Any, value: int, request_id: str, **headers: str) -> None:
    path = "/v2/models/double/infer"
    assert server.ask(path, tensor(value), {"x-request-id": request_id, **headers}).status == 200


def test_answers_are_fetched_with_labels_and_shadows_told_apart(double: Any) -> None:
    first = double.ask("/v2/recent", headers=CONTROL).json
    assert first["answers"] == []
    ask(double, 2, "a")
    ask(double, 3, "b", **{"x-pai-shadow": "1"})
    assert double.ask("/v2/models/double/infer", tensor(9)).status == 200  # it has no id to find
    assert double.ask("/double/predict", {"x": 5}, {"x-request-id": "c"}).json == {"label": 10}
    fetched = double.ask(f"/v2/recent?after={first['position']}&full=1", headers=CONTROL).json
    found = {each["request_id"]: each for each in fetched["answers"]}
    assert {key: each["labels"] for key, each in found.items()} == {"a": [4], "b": [6], "c": [10]}
    assert [key for key, each in found.items() if each["shadow"]] == ["b"]
    assert found["a"]["outputs"][0]["data"] == [4]
    assert fetched["models"][0]["requests"]["ok"] == 4
    after = double.ask(f"/v2/recent?after={fetched['position']}", headers=CONTROL).json
    assert after["answers"] == []


def test_only_the_control_plane_fetches(double: Any) -> None:
    assert double.ask("/v2/recent").status == 404
    assert double.ask("/v2/recent?share=2", headers=CONTROL).status == 400
    assert double.ask("/v2/recent?after=x", headers=CONTROL).status == 400


def test_feedback_is_taken_on_every_form_of_path(double: Any) -> None:
    said = {"request_id": "a", "label": 4}
    for path in ("/feedback", "/double/feedback", "/v2/models/double/feedback"):
        assert double.ask(path, said).status == 202
    assert double.ask("/feedback", [said, {"request_id": "b", "score": 0.5}]).json == {"taken": 2}
    fetched = double.ask("/v2/recent", headers=CONTROL).json
    assert len(fetched["feedback"]) == 5
    assert fetched["feedback"][-1] == {"request_id": "b", "score": 0.5}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"request_id": "a"}, "either label or score"),
        ({"request_id": "a", "label": 1, "score": 1}, "either label or score"),
        ({"label": 1}, "request_id"),
        ({"request_id": "a", "score": 2}, "from 0"),
        ({"request_id": "a", "label": {}}, "label must be"),
        ({"request_id": "a", "label": 1, "release": "v1"}, "unknown field `release`"),
        ([], "send 1 to 1000"),
        (b"{", "not JSON"),
    ],
)
def test_feedback_that_cannot_be_used_is_refused(double: Any, body: Any, complaint: str) -> None:
    answer = double.ask("/feedback", body, method="POST")
    assert answer.status == 400
    assert complaint in answer.json["error"]


def test_requests_are_kept_only_where_the_configuration_says_so(
    serve: Any, python_model: Any
) -> None:
    model = {"name": "double", "version": "v1", "path": python_model(DOUBLE), "engine": "python"}
    server = serve(**model, recording={"redact": ["x"]})
    server.ask("/v2/recent", headers=CONTROL)
    ask(server, 21, "a")
    ask(server, 22, "b", **{"x-pai-shadow": "1"})
    versioned = "/v2/models/double/versions/v1/infer"
    assert server.ask(versioned, tensor(3), {"x-request-id": "c"}).status == 200
    (kept,) = server.ask("/v2/recent", headers=CONTROL).json["requests"]
    assert kept["path"] == "/v2/models/double/infer"
    body = loads(b64decode(kept["body"]))
    assert body["inputs"][0]["data"] == [0]
    assert server.ask("/v2/recent", headers=CONTROL).json["requests"] == []
    again = server.ask(kept["path"], body, {"x-pai-shadow": "1"})
    assert again.json["outputs"][0]["data"] == [0]


def test_no_request_is_kept_unasked(double: Any) -> None:
    double.ask("/v2/recent", headers=CONTROL)
    ask(double, 2, "a")
    assert "requests" not in double.ask("/v2/recent", headers=CONTROL).json
