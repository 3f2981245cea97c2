"""scikit-learn models of every kind, saved with skops and as pickles."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from prometheus_ai_runtime.engines.base import EngineError, UnsafeFormat
from prometheus_ai_runtime.signature import Signature, TensorSpec

Loader = Callable[..., Any]
Data = tuple[NDArray[Any], NDArray[Any]]


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    def save(estimator: Any, name: str = "model.skops") -> Any:
        path = tmp_path / name
        if name.endswith(".skops"):
            skops.io.dump(estimator, path)
        else:
            joblib.dump(estimator, path)
        return path

    return save


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(max_iter=1000),
        make_pipeline(StandardScaler(), RandomForestClassifier(10, n_jobs=-1, random_state=0)),
        ExtraTreesClassifier(10, random_state=0),
        DecisionTreeClassifier(random_state=0),
        GradientBoostingClassifier(n_estimators=3),
        HistGradientBoostingClassifier(max_iter=3),
        make_pipeline(StandardScaler(), MLPClassifier(max_iter=5, tol=1.0, n_iter_no_change=1)),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_classifiers_answer_label_and_probability_as_trained(
    estimator: Any, saved: Any, loaded: Loader, iris: Data
) -> None:
    rows, labels = iris
    estimator.fit(rows, labels)
    model = loaded(saved(estimator))
    answer = model.predict({"input": rows})
    assert model.signature.inputs == (TensorSpec(name="input", datatype="FP64", shape=(-1, 4)),)
    assert np.array_equal(answer["label"], estimator.predict(rows))
    assert np.array_equal(answer["probability"], estimator.predict_proba(rows))
    assert answer["label"].dtype == np.int64


@pytest.mark.parametrize(
    ("classes", "datatype"),
    [
        (["no", "yes", "maybe"], "BYTES"),
        ([0, 1, 2], "INT64"),
        ([0.5, 1.5, 2.5], "FP64"),
        ([False, True, True], "BOOL"),
    ],
)
def test_labels_have_the_datatype_of_the_classes(
    classes: Any, datatype: str, saved: Any, loaded: Loader, iris: Data
) -> None:
    rows, labels = iris
    if datatype == "FP64":
        # scikit-learn takes fractions for a regression target; text keeps the classes apart.
        estimator = LogisticRegression(max_iter=1000).fit(rows, labels)
        estimator.classes_ = np.array(classes)
    else:
        estimator = LogisticRegression(max_iter=1000).fit(rows, np.array(classes)[labels])
    model = loaded(saved(estimator))
    label = model.predict({"input": rows})["label"]
    assert model.signature.outputs[0].datatype == datatype
    expected = estimator.predict(rows).tolist()
    assert label.tolist() == ([e.encode() for e in expected] if datatype == "BYTES" else expected)


def test_a_regressor_answers_output(saved: Any, loaded: Loader, diabetes: Data) -> None:
    rows, target = diabetes
    estimator = Ridge().fit(rows, target)
    model = loaded(saved(estimator))
    assert model.signature.outputs == (TensorSpec(name="output", datatype="FP64", shape=(-1,)),)
    assert np.array_equal(model.predict({"input": rows})["output"], estimator.predict(rows))


def test_a_regressor_of_two_targets_answers_two_columns(
    saved: Any, loaded: Loader, diabetes: Data
) -> None:
    rows, target = diabetes
    model = loaded(saved(LinearRegression().fit(rows, np.c_[target, -target])))
    assert model.signature.outputs[0].shape == (-1, 2)
    assert model.predict({"input": rows[:3]})["output"].shape == (3, 2)


@pytest.mark.parametrize(
    ("estimator", "name", "datatype"),
    [
        (KMeans(3, n_init=1, random_state=0), "label", "INT64"),
        (IsolationForest(n_estimators=5, random_state=0), "label", "INT64"),
        (PCA(2), "output", "FP64"),
        (SVC(), "label", "INT64"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_estimators_give_one_output(
    estimator: Any, name: str, datatype: str, saved: Any, loaded: Loader, iris: Data
) -> None:
    rows, labels = iris
    model = loaded(saved(estimator.fit(rows, labels)))
    assert [(each.name, each.datatype) for each in model.signature.outputs] == [(name, datatype)]
    assert len(model.predict({"input": rows[:7]})[name]) == 7


def test_text_pipelines_take_bytes(saved: Any, loaded: Loader, words: NDArray[Any]) -> None:
    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression())
    estimator.fit([word.decode() for word in words], ["pos", "neg"])
    model = loaded(saved(estimator))
    assert model.signature.inputs == (TensorSpec(name="input", datatype="BYTES", shape=(-1,)),)
    assert model.predict({"input": words})["label"].tolist() == [b"pos", b"neg"]


def test_declared_single_precision_is_honoured(saved: Any, loaded: Loader, iris: Data) -> None:
    rows, labels = iris
    declared = Signature(
        inputs=(TensorSpec(name="input", datatype="FP32", shape=(-1, 4)),),
        outputs=(TensorSpec(name="probability", datatype="FP32", shape=(-1, 3)),),
    )
    estimator = LogisticRegression(max_iter=1000).fit(rows, labels)
    model = loaded(saved(estimator), signature=declared)
    answer = model.predict({"input": rows.astype(np.float32)})
    assert list(answer) == ["probability"]
    assert answer["probability"].dtype == np.float32


def test_a_pickle_is_refused_unless_allowed(saved: Any, loaded: Loader, iris: Data) -> None:
    path = saved(LogisticRegression(max_iter=1000).fit(*iris), "model.joblib")
    with pytest.raises(UnsafeFormat, match=r"skops\.io\.dump"):
        loaded(path)
    assert loaded(path, allow_pickle=True).predict({"input": iris[0][:1]})["label"].shape == (1,)


def test_refusing_a_pickle_runs_nothing_of_it(tmp_path: Path, loaded: Loader) -> None:
    mark = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> Any:
            return (mark.touch, ())

    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UnsafeFormat):
        loaded(path)
    assert not mark.exists()


def test_skops_types_outside_the_vetted_set_are_refused_by_name(
    saved: Any, loaded: Loader, iris: Data
) -> None:
    estimator = make_pipeline(FunctionTransformer(np.sqrt), LogisticRegression(max_iter=1000))
    estimator.fit(*iris)
    estimator.steps[0][1].func = json.dumps
    path = saved(estimator)
    with pytest.raises(UnsafeFormat, match=r"json\.dumps.*option `trusted`"):
        loaded(path)


def test_a_forged_tree_that_points_outside_itself_is_refused(
    saved: Any, loaded: Loader, iris: Data
) -> None:
    path = saved(DecisionTreeClassifier(random_state=0).fit(*iris))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    forged = 0
    for name, content in members.items():
        if not name.endswith(".npy"):
            continue
        array = np.load(io.BytesIO(content), allow_pickle=False)
        if array.dtype.names and "left_child" in array.dtype.names:
            array = array.copy()
            array["left_child"][0] = 10**9
            members[name] = _npy(array)
            forged += 1
    assert forged == 1
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(EngineError):
        loaded(path)


def _npy(array: Any) -> Any:
    target = io.BytesIO()
    np.save(target, array)
    return target.getvalue()


@pytest.fixture
def old_model(saved: Any, iris: Data) -> Any:
    """A model whose file says that it was trained with scikit-learn 1.2.3."""
    return _made_old(saved(LogisticRegression(max_iter=1000).fit(*iris)))


def _made_old(path: Any) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    version = sklearn.__version__.encode()
    members["schema.json"] = members["schema.json"].replace(version, b"1.2.3")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_another_version_of_scikit_learn_is_a_warning_that_names_both(
    old_model: Any, loaded: Loader
) -> None:
    (warning,) = loaded(old_model).warnings
    assert "trained with scikit-learn 1.2.3" in warning
    assert sklearn.__version__ in warning


def test_a_model_that_lacks_what_this_version_looks_for_is_told_by_its_versions(
    saved: Any, loaded: Loader, iris: Data
) -> None:
    estimator = LogisticRegression(max_iter=1000).fit(*iris)
    del estimator.coef_
    with pytest.raises(EngineError, match=r"trained with scikit-learn 1\.2\.3") as caught:
        loaded(_made_old(saved(estimator)))
    assert sklearn.__version__ in str(caught.value)


def test_another_version_of_scikit_learn_can_be_refused(old_model: Any, loaded: Loader) -> None:
    with pytest.raises(EngineError, match=r"pip install scikit-learn==1\.2\.3"):
        loaded(old_model, options={"version_mismatch": "refuse"})


def test_what_is_no_estimator_is_refused(saved: Any, loaded: Loader) -> None:
    with pytest.raises(EngineError, match="holds a dict"):
        loaded(saved({"weights": [1, 2]}, "model.joblib"), allow_pickle=True)


def test_a_gpu_is_refused(saved: Any, loaded: Loader, iris: Data) -> None:
    path = saved(LogisticRegression(max_iter=1000).fit(*iris))
    with pytest.raises(EngineError, match="runs on the CPU only"):
        loaded(path, device="cuda")


@pytest.mark.parametrize(
    ("estimator", "takes"),
    [
        (LogisticRegression(max_iter=1000), False),
        (HistGradientBoostingClassifier(max_iter=3), True),
        (make_pipeline(SimpleImputer(), LogisticRegression(max_iter=1000)), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nan_is_a_missing_value_where_the_model_takes_it(
    estimator: Any, takes: bool, saved: Any, loaded: Loader, iris: Data
) -> None:
    assert loaded(saved(estimator.fit(*iris))).missing_is_nan is takes
