"""scikit-learn models that were fitted on named columns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from prometheus_ai_runtime.signature import TensorSpec

Loader = Callable[..., Any]
Data = tuple[NDArray[Any], NDArray[Any]]


pytestmark = pytest.mark.requires("pandas")

NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


@pytest.fixture
def frame(iris: Data) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(iris[0], columns=list(NAMES))


def _save(tmp_path: Path, estimator: Any) -> Any:
    path = tmp_path / "model.skops"
    skops.io.dump(estimator, path)
    return path


def test_column_names_are_in_the_signature(
    tmp_path: Path, loaded: Loader, frame: Any, iris: Data
) -> None:
    estimator = LogisticRegression(max_iter=1000).fit(frame, iris[1])
    model = loaded(_save(tmp_path, estimator))
    assert model.signature.columns == NAMES
    assert np.array_equal(model.predict({"input": iris[0]})["label"], estimator.predict(frame))


def test_a_pipeline_that_picks_columns_by_name_gets_a_frame(
    tmp_path: Path, loaded: Loader, frame: Any, iris: Data
) -> None:
    picking = ColumnTransformer([("petals", StandardScaler(), ["petal_length", "petal_width"])])
    estimator = make_pipeline(picking, LogisticRegression(max_iter=1000)).fit(frame, iris[1])
    model = loaded(_save(tmp_path, estimator))
    assert model.signature.inputs == (TensorSpec(name="input", datatype="FP64", shape=(-1, 4)),)
    assert np.array_equal(model.predict({"input": iris[0]})["label"], estimator.predict(frame))


def test_columns_of_text_make_one_input_a_column(
    tmp_path: Path, loaded: Loader, frame: Any, iris: Data
) -> None:
    frame["colour"] = np.where(frame.petal_width > 1, "violet", "blue")
    encoding = ColumnTransformer(
        [
            ("numbers", StandardScaler(), list(NAMES)),
            ("colour", OneHotEncoder(), ["colour"]),
        ]
    )
    estimator = make_pipeline(encoding, LogisticRegression(max_iter=1000)).fit(frame, iris[1])
    model = loaded(_save(tmp_path, estimator))
    assert [(each.name, each.datatype) for each in model.signature.inputs] == [
        *((name, "FP64") for name in NAMES),
        ("colour", "BYTES"),
    ]
    assert model.signature.columns == ()
    inputs = {name: frame[name].to_numpy() for name in NAMES}
    inputs["colour"] = np.array([value.encode() for value in frame.colour], dtype=np.object_)
    assert np.array_equal(model.predict(inputs)["label"], estimator.predict(frame))
