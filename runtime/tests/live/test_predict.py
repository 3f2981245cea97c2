"""Rows for people, over a real server."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

MIXED = '''
import numpy as np


class Mixed:
    """Named columns of several datatypes."""

    signature = {
        "inputs": [
            {"name": "age", "datatype": "FP32", "shape": [-1]},
            {"name": "name", "datatype": "BYTES", "shape": [-1]},
            {"name": "member", "datatype": "BOOL", "shape": [-1, 1]},
            {"name": "scores", "datatype": "INT64", "shape": [-1, 2]},
        ],
        "outputs": [
            {"name": "greeting", "datatype": "BYTES", "shape": [-1]},
            {"name": "total", "datatype": "FP64", "shape": [-1]},
        ],
    }

    def predict(self, batch):
        hellos = [b"hello " + n for n in batch["name"]]
        total = batch["age"].astype(float) + batch["scores"].sum(axis=1) + batch["member"][:, 0]
        return {"greeting": np.array(hellos, dtype=object), "total": total}
'''
ROW = {"age": 30.5, "name": "Zo\u00eb", "member": True, "scores": [1, 2]}


@pytest.fixture
def mixed(serve: Any, python_model: Any) -> Any:
    return serve(f"mixed={python_model(MIXED)}")


def test_one_object_is_answered_with_one_object(mixed: Any) -> None:
    answer = mixed.ask("/mixed/predict", ROW)
    assert answer.status == 200, answer.body
    assert answer.json == {"greeting": "hello Zo\u00eb", "total": 34.5}
    assert answer.headers["x-pai-release"] == "mixed/1"


def test_a_lone_model_needs_no_name(mixed: Any) -> None:
    assert mixed.ask("/predict", ROW).json == {"greeting": "hello Zo\u00eb", "total": 34.5}


def test_with_two_models_a_name_is_needed(serve: Any, python_model: Any) -> None:
    path = python_model(MIXED)
    answer = serve(f"one={path}", f"two={path}").ask("/predict", ROW)
    assert (answer.status, "use /NAME/predict" in answer.json["error"]) == (400, True)


def test_rows_are_answered_in_kind(mixed: Any) -> None:
    rows = [ROW, {**ROW, "age": 1}]
    assert [r["total"] for r in mixed.ask("/mixed/predict", rows).json] == [34.5, 5.0]
    assert mixed.ask("/mixed/predict", {"rows": rows}).json["rows"][1]["total"] == 5.0
    arrays = [[30.5, "Zo\u00eb", True, [1, 2]], [1, "B", False, [0, 0]]]
    assert mixed.ask("/mixed/predict", arrays).json == [["hello Zo\u00eb", 34.5], ["hello B", 1.0]]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"age": "abc"}, "input `age`: expected FP32, row 1 has 'abc'"),
        ({"age": None}, "input `age`: expected FP32, row 1 has null"),
        ({"member": 3}, "input `member`: expected BOOL, row 1 has 3"),
        ({"name": 3}, "input `name`: expected BYTES, row 1 has 3"),
        ({"scores": [1, 2.5]}, "input `scores`: expected INT64, row 1 has 2.5"),
        ({"scores": [1]}, "input `scores`: row 1 has 1 values, row 0 has 2"),
        ({"scores": 7}, "input `scores`: expected an array of INT64, row 1 has 7"),
        ({"height": 1}, "row 1 has an unknown `height`"),
    ],
)
def test_a_wrong_value_is_named_with_its_input_and_row(
    mixed: Any, change: dict[str, Any], complaint: str
) -> None:
    answer = mixed.ask("/mixed/predict", [ROW, {**ROW, **change}])
    assert answer.status == 400
    assert answer.json == {"error": complaint}


def test_a_missing_column_is_named(mixed: Any) -> None:
    answer = mixed.ask("/mixed/predict", [{k: v for k, v in ROW.items() if k != "age"}])
    assert answer.json == {"error": "row 0 has no `age`"}


def test_csv_is_answered_with_csv(serve: Any, iris_onnx: Path) -> None:
    running = serve(f"iris={iris_onnx}")
    kind = {"content-type": "text/csv"}
    plain = running.ask("/iris/predict", b"5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n", kind)
    assert plain.headers["content-type"] == "text/csv"
    table = list(csv.DictReader(io.StringIO(plain.body.decode())))
    assert [r["label"] for r in table] == ["0", "2"]
    assert set(table[0]) == {"label", *(f"probabilities_{i}" for i in range(3))}
    named = running.ask("/iris/predict", b"f3,f2,f1,f0\n0.2,1.4,3.5,5.1\n2.3,5.2,3.0,6.7\n", kind)
    assert named.body == plain.body
    wrong = running.ask("/iris/predict", b"5.1,3.5,1.4,0.2\n6.7,abc,5.2,2.3\n", kind)
    assert wrong.json == {"error": "input `f1`: expected FP32, row 1 has 'abc'"}


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (b"1,2,nan,4\n", "input `f2`: expected finite FP32, row 0 has nan"),
        (b"1,2,3,4\n1,inf,3,4\n", "input `f1`: expected finite FP32, row 1 has inf"),
        (b"1,2,,4\n", "input `f2`: expected FP32, row 0 has null"),
        (b"f0,f1,f2,f3,f1\n1,2,3,4,5\n", "the CSV has two columns `f1`"),
        (b"1,2,3\n", "row 0 has 3 values, expected 4"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    serve: Any, iris_onnx: Path, table: bytes, complaint: str
) -> None:
    answer = serve(f"iris={iris_onnx}").ask("/iris/predict", table, {"content-type": "text/csv"})
    assert (answer.status, answer.json) == (400, {"error": complaint})


def test_an_unknown_content_type_is_refused(mixed: Any) -> None:
    answer = mixed.ask("/mixed/predict", b"<a/>", {"content-type": "text/xml"})
    assert answer.status == 415
    assert "text/csv" in answer.json["error"]


def test_openapi_describes_the_columns(mixed: Any) -> None:
    document = mixed.ask("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    operation = document["paths"]["/mixed/predict"]["post"]
    row = operation["requestBody"]["content"]["application/json"]["schema"]["anyOf"][0]
    assert row["required"] == ["age", "name", "member", "scores"]
    assert row["properties"]["scores"] == {
        "type": "array",
        "items": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
        "minItems": 2,
        "maxItems": 2,
    }
    assert json.loads(json.dumps(document)) == document
