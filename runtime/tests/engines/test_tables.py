"""Tables over the wire: these tests live beside the engines, in the environment that has pyarrow."""

import io
from pathlib import Path
from typing import Any

import pytest

SOURCE = """
from typing import Annotated, TypedDict

import numpy as np
from numpy.typing import NDArray


class Answer(TypedDict):
    total: Annotated[NDArray[np.float32], -1]
    greeting: list[str]


class Mixed:
    def predict(
        self,
        age: Annotated[NDArray[np.float32], -1],
        name: list[str],
        member: Annotated[NDArray[np.bool_], -1],
        scores: Annotated[NDArray[np.int64], -1, 2],
    ) -> Answer:
        greeting = [f"{n} {bool(m)}" for n, m in zip(name, member)]
        return {"total": age + scores.sum(axis=1), "greeting": greeting}
"""
KIND = {"content-type": "application/vnd.apache.parquet"}
GOOD: dict[str, Any] = {
    "age": [1.5, 2.5],
    "name": ["Ada", "Bo"],
    "member": [True, False],
    "scores": [[1, 2], [3, 4]],
}


@pytest.fixture(scope="module")
def parquet() -> Any:
    pytest.importorskip("pyarrow")
    return pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def mixed(serve: Any, tmp_path: Path) -> Any:
    path = tmp_path / "mixed.py"
    path.write_text(SOURCE)
    return serve(f"mixed={path}")


def table_of(parquet: Any, columns: dict[str, Any]) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    sink = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), sink)
    return sink.getvalue()


def test_parquet_is_answered_with_parquet(parquet: Any, mixed: Any) -> None:
    answer = mixed.ask("/mixed/predict", table_of(parquet, GOOD), KIND)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == KIND["content-type"]
    assert parquet.read_table(io.BytesIO(answer.body)).to_pylist() == [
        {"total": 4.5, "greeting": "Ada True"},
        {"total": 9.5, "greeting": "Bo False"},
    ]
    binary = table_of(parquet, {**GOOD, "name": [b"Ada", b"Bo"]})
    assert mixed.ask("/mixed/predict", binary, KIND).body == answer.body


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"age": [1.0, float("nan")]}, "input `age`: expected finite FP32, row 1 has nan"),
        ({"age": [float("-inf"), 1.0]}, "input `age`: expected finite FP32, row 0 has -inf"),
        ({"age": [1.0, None]}, "input `age`: expected FP32, row 1 has null"),
        ({"age": ["x", "y"]}, "input `age`: expected FP32, row 0 has 'x'"),
        ({"scores": [[1, 2], [3]]}, "input `scores`: row 1 has 1 values, row 0 has 2"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_column_and_row(
    parquet: Any, mixed: Any, change: dict[str, Any], complaint: str
) -> None:
    answer = mixed.ask("/mixed/predict", table_of(parquet, {**GOOD, **change}), KIND)
    assert (answer.status, answer.json) == (400, {"error": complaint})


def test_what_is_no_parquet_is_said(parquet: Any, mixed: Any) -> None:
    answer = mixed.ask("/mixed/predict", b"PAR1 and nothing more PAR1", KIND)
    assert answer.status == 400
    assert "the body is not Parquet" in answer.json["error"]
    missing = mixed.ask("/mixed/predict", table_of(parquet, {"age": [1.0]}), KIND)
    assert missing.json == {"error": "the Parquet table has no column `name`"}
