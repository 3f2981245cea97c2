"""Every estimator that scikit-learn ships passes, fitted and dumped; so do ordinary boosters."""

import io
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from prometheus_ai.adapters.scanners.model_files import ModelFileScanner

sklearn = pytest.importorskip("sklearn")
discovery = pytest.importorskip("sklearn.utils")
linear = pytest.importorskip("sklearn.linear_model")
instances = pytest.importorskip("sklearn.utils._test_common.instance_generator")

RNG = np.random.default_rng(0)
X = np.abs(RNG.normal(size=(60, 6)))
Y = (X[:, 0] + X[:, 1] > 1.5).astype(int)
TEXTS = ["a b c", "b d"] * 30
DATA = (
    (X, Y), (X, X @ np.arange(6.0)), (X, np.c_[Y, Y]), (X[:, 0], X[:, 0]), (TEXTS, Y),
    ([{"a": 1.0}, {"b": 2.0}] * 30, Y), (X @ X.T, Y),
)  # fmt: skip


def fitted(estimator: Any) -> Any:
    """Fit on the first data that fits; what fits on none is dumped as it is."""
    for rows, labels in DATA:
        try:
            return estimator.fit(rows, labels)
        except (ValueError, TypeError, AttributeError, IndexError, KeyError):
            continue
    for labels in (Y, [["a"], ["b"]]):
        try:
            return estimator.fit(labels)
        except (ValueError, TypeError, AttributeError, IndexError):
            continue
    return estimator


def estimators() -> Iterator[tuple[str, type]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from discovery.all_estimators()


@pytest.mark.requires("sklearn")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "kind"), list(estimators()), ids=lambda one: getattr(one, "__name__", one)
)
def test_an_estimator_passes_however_it_is_dumped(name: str, kind: type, tmp_path: Path) -> None:
    try:
        made = list(instances._construct_instances(kind))
    except BaseException:  # noqa: BLE001 - what scikit-learn itself cannot make wraps another estimator
        made = [kind(linear.LogisticRegression().fit(X, Y))]
    path = tmp_path / "model"
    for estimator in map(fitted, made):
        compressed = io.BytesIO()
        joblib.dump(estimator, compressed, compress=3)
        plain = io.BytesIO()
        joblib.dump(estimator, plain)
        for data in (
            plain.getvalue(), compressed.getvalue(), pickle.dumps(estimator),
            pickle.dumps(estimator, protocol=0), pickle.dumps(estimator, protocol=2),
        ):  # fmt: skip
            path.write_bytes(data)
            found = ModelFileScanner().scan(path, "")
            assert found.is_clean, found.findings
            assert found.runs_code


@pytest.mark.requires("xgboost", "lightgbm")
@pytest.mark.filterwarnings("ignore")
def test_boosters_pass_in_every_format(tmp_path: Path) -> None:
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    boosted = xgboost.XGBClassifier(n_estimators=3).fit(X, Y)
    light = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(X, Y)
    for name, model in {
        "x": boosted,
        "l": light,
        "xb": boosted.get_booster(),
        "lb": light.booster_,
    }.items():
        joblib.dump(model, tmp_path / f"{name}.joblib")
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(model))
    boosted.save_model(tmp_path / "x.json")
    boosted.save_model(tmp_path / "x.ubj")
    light.booster_.save_model(tmp_path / "l.txt")
    for path in tmp_path.iterdir():
        found = ModelFileScanner().scan(path, "")
        assert found.is_clean, (path.name, found.findings)


@pytest.mark.requires("torch")
def test_torch_files_pass(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.ReLU())
    torch.save(module.state_dict(), tmp_path / "state.pt")
    torch.save(module.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save({"model": module.state_dict(), "epoch": 3}, tmp_path / "checkpoint.pth")
    torch.save(module, tmp_path / "module.pt")
    torch.jit.script(module).save(str(tmp_path / "script.ts"))
    program = torch.export.export(module, (torch.zeros(2, 4),))
    torch.export.save(program, tmp_path / "program.pt2")
    for path in tmp_path.iterdir():
        found = ModelFileScanner().scan(path, "")
        assert found.is_clean, (path.name, found.findings)


@pytest.mark.requires("onnxruntime", "sklearn")
@pytest.mark.filterwarnings("ignore")
def test_onnx_and_skops_pass_and_foreign_operators_do_not(tmp_path: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    skl2onnx, skops = pytest.importorskip("skl2onnx"), pytest.importorskip("skops.io")
    model = linear.LogisticRegression().fit(X, Y)
    skops.dump(model, tmp_path / "model.skops")
    data = skl2onnx.to_onnx(model, X[:1].astype("f4")).SerializeToString()
    (tmp_path / "model.onnx").write_bytes(data)
    for path in tmp_path.iterdir():
        assert ModelFileScanner().scan(path, "").is_clean
    (tmp_path / "model.onnx").write_bytes(data.replace(b"ai.onnx.ml", b"evil.onnx1"))
    assert not ModelFileScanner().scan(tmp_path / "model.onnx", "").is_clean
