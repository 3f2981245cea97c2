"""XGBoost and LightGBM: their own files answer as their own scikit-learn wrappers do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from prometheus_ai_runtime.engines.base import EngineError

Loader = Callable[..., Any]
Data = tuple[NDArray[Any], NDArray[Any]]


ROUNDS = 5


def _same(answer: Any, estimator: Any, rows: Any) -> Any:
    if "output" in answer:
        np.testing.assert_allclose(answer["output"], estimator.predict(rows), rtol=1e-5)
        return
    assert np.array_equal(answer["label"], estimator.predict(rows))
    np.testing.assert_allclose(answer["probability"], estimator.predict_proba(rows), rtol=1e-5)


@pytest.mark.requires("xgboost")
@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize(
    ("kind", "data", "options"),
    [
        ("XGBClassifier", "iris", {}),
        ("XGBClassifier", "iris", {"objective": "multi:softmax"}),
        ("XGBClassifier", "cancer", {}),
        ("XGBRegressor", "diabetes", {}),
    ],
)
def test_xgboost_files_answer_as_trained(
    tmp_path: Path,
    loaded: Loader,
    request: pytest.FixtureRequest,
    kind: str,
    data: str,
    options: Any,
    suffix: str,
) -> None:
    xgboost = pytest.importorskip("xgboost")
    rows, target = request.getfixturevalue(data)
    rows = rows.astype(np.float32)
    estimator = getattr(xgboost, kind)(n_estimators=ROUNDS, **options).fit(rows, target)
    path = tmp_path / f"model.{suffix}"
    estimator.save_model(path)
    model = loaded(path)
    assert model.signature.inputs[0].shape == (-1, rows.shape[1])
    _same(model.predict({"input": rows}), estimator, rows)


@pytest.mark.requires("xgboost")
def test_xgboost_uses_the_rounds_up_to_the_best_one(
    tmp_path: Path, loaded: Loader, cancer: Data
) -> None:
    xgboost = pytest.importorskip("xgboost")
    rows, target = cancer[0].astype(np.float32), cancer[1]
    estimator = xgboost.XGBClassifier(n_estimators=50, early_stopping_rounds=2, learning_rate=1.0)
    estimator.fit(rows[:300], target[:300], eval_set=[(rows[300:], target[300:])], verbose=False)
    assert estimator.best_iteration < estimator.get_booster().num_boosted_rounds() - 1
    path = tmp_path / "model.json"
    estimator.save_model(path)
    _same(loaded(path).predict({"input": rows}), estimator, rows)


@pytest.mark.requires("xgboost")
def test_xgboost_takes_nan_for_a_missing_value(
    tmp_path: Path, loaded: Loader, cancer: Data
) -> None:
    xgboost = pytest.importorskip("xgboost")
    rows = cancer[0].astype(np.float32)
    rows[::3, 1] = np.nan
    estimator = xgboost.XGBClassifier(n_estimators=ROUNDS).fit(rows, cancer[1])
    path = tmp_path / "model.ubj"
    estimator.save_model(path)
    _same(loaded(path).predict({"input": rows}), estimator, rows)


@pytest.mark.requires("xgboost")
def test_the_cpu_build_of_xgboost_refuses_a_gpu(tmp_path: Path, loaded: Loader, iris: Data) -> None:
    xgboost = pytest.importorskip("xgboost")
    if xgboost.build_info()["USE_CUDA"]:
        pytest.skip("this XGBoost was built with CUDA")
    path = tmp_path / "model.json"
    xgboost.XGBRegressor(n_estimators=1).fit(*iris).save_model(path)
    with pytest.raises(EngineError, match="has no CUDA"):
        loaded(path, device="cuda")


@pytest.mark.requires("xgboost")
def test_a_damaged_file_is_told_without_the_library_s_stack(tmp_path: Path, loaded: Loader) -> None:
    path = tmp_path / "damaged.json"
    path.write_text('{"learner": 1}')
    with pytest.raises(EngineError, match=r"could not load .*damaged\.json: .*; check") as refusal:
        loaded(path)
    assert "libxgboost" not in str(refusal.value)


@pytest.mark.requires("lightgbm")
@pytest.mark.parametrize(
    ("kind", "data"),
    [("LGBMClassifier", "iris"), ("LGBMClassifier", "cancer"), ("LGBMRegressor", "diabetes")],
)
def test_lightgbm_files_answer_as_trained(
    tmp_path: Path, loaded: Loader, request: pytest.FixtureRequest, kind: str, data: str
) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    rows, target = request.getfixturevalue(data)
    rows = rows.astype(np.float32)
    estimator = getattr(lightgbm, kind)(n_estimators=ROUNDS, verbose=-1).fit(rows, target)
    path = tmp_path / "model.txt"
    estimator.booster_.save_model(path)
    model = loaded(path)
    assert model.signature.columns == ()
    _same(model.predict({"input": rows}), estimator, rows)


@pytest.mark.requires("lightgbm", "pandas")
def test_lightgbm_keeps_names_and_warns_of_categories(
    tmp_path: Path, loaded: Loader, iris: Data
) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(iris[0], columns=list("abcd"))
    frame["a"] = pandas.Categorical(np.where(frame.a > 5.5, "long", "short"))
    estimator = lightgbm.LGBMRegressor(n_estimators=ROUNDS, verbose=-1).fit(frame, iris[1])
    path = tmp_path / "model.txt"
    estimator.booster_.save_model(path)
    model = loaded(path)
    assert model.signature.columns == ("a", "b", "c", "d")
    assert '["long", "short"]' in model.warnings[0]
    coded = np.c_[frame.a.cat.codes, iris[0][:, 1:]].astype(np.float32)
    np.testing.assert_allclose(
        model.predict({"input": coded})["output"], estimator.predict(frame), rtol=1e-5
    )
