"""Real data and one way to load."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from prometheus_ai_runtime.engines import load
from prometheus_ai_runtime.engines.base import LoadedModel, LoadRequest

Data = tuple[NDArray[Any], NDArray[Any]]


def _bundled(name: str) -> Data:
    datasets = pytest.importorskip("sklearn.datasets")
    rows, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return rows, labels


@pytest.fixture(scope="session")
def iris() -> Data:
    return _bundled("iris")


@pytest.fixture(scope="session")
def cancer() -> Data:
    return _bundled("breast_cancer")


@pytest.fixture(scope="session")
def diabetes() -> Data:
    return _bundled("diabetes")


@pytest.fixture
def loaded() -> Any:
    """Load models and close them when the test ends."""
    models: list[LoadedModel] = []

    def open_model(path: Path, engine: str | None = None, **fields: Any) -> LoadedModel:
        models.append(load(engine, LoadRequest(path=path, **fields)))
        return models[-1]

    yield open_model
    for model in models:
        model.close()


Loader = Callable[..., LoadedModel]


@pytest.fixture(scope="session")
def words() -> NDArray[Any]:
    return np.array([b"a good film", b"a bad film"], dtype=np.object_)
