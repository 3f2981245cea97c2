"""XGBoost models saved as JSON or UBJSON."""

import ctypes
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus_ai_runtime.engines.agreement import agree
from prometheus_ai_runtime.engines.base import EngineError, LoadRequest, Tensors
from prometheus_ai_runtime.engines.library import cuda_index, require
from prometheus_ai_runtime.engines.trees import answers_of, softmax, tree_signature
from prometheus_ai_runtime.signature import Signature

OPTIONS: frozenset[str] = frozenset()

_BINARY = ("binary:logistic", "reg:logistic")
_MARGINS_OF_CLASSES = "multi:softmax"


class XgboostModel:
    """One booster; NaN in the input means a missing value."""

    batchable = True
    missing_is_nan = True

    def __init__(
        self,
        booster: Any,
        signature: Signature,
        *,
        objective: str,
        classes: int,
        warnings: tuple[str, ...],
    ) -> None:
        self.signature = signature
        self.warnings = warnings
        self._scores = _Scores(booster, margins=objective == _MARGINS_OF_CLASSES)
        self._classes = classes
        self._from_margins = objective == _MARGINS_OF_CLASSES
        self._names = tuple(tensor.name for tensor in signature.outputs)

    def predict(self, inputs: Tensors) -> Tensors:
        """Add up the trees for a batch."""
        scores = self._scores.of(inputs["input"])
        answers = answers_of(
            softmax(scores) if self._from_margins else scores, classes=self._classes
        )
        return {name: answers[name] for name in self._names}

    def close(self) -> None:
        """Drop the booster."""
        self._scores.close()


class _Scores:
    """Asks a booster for its scores through the library's C interface.

    `Booster.inplace_predict` does the same after checks that cost more than a small model's trees;
    it is used where the C library cannot be reached.
    """

    def __init__(self, booster: Any, *, margins: bool) -> None:
        self._booster = booster
        self._margins = margins
        self._rounds = (0, _best_rounds(booster))
        self._library = getattr(require("xgboost.core", extra="xgboost"), "_LIB", None)
        options = {
            "type": int(margins),
            "training": False,
            "iteration_begin": self._rounds[0],
            "iteration_end": self._rounds[1],
            "missing": float("nan"),
            "strict_shape": False,
            "cache_id": 0,
        }
        self._options = json.dumps(options).encode()
        self._shape = ctypes.POINTER(ctypes.c_uint64)()
        self._ndim = ctypes.c_uint64()
        self._values = ctypes.POINTER(ctypes.c_float)()

    def of(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Score a batch."""
        if self._library is None:
            scores: NDArray[Any] = self._booster.inplace_predict(
                rows,
                iteration_range=self._rounds,
                predict_type="margin" if self._margins else "value",
                validate_features=False,
            )
            return scores
        rows = np.ascontiguousarray(rows)
        array = b'{"data":[%d,true],"shape":[%d,%d],"typestr":"%b","version":3}' % (
            rows.ctypes.data,
            rows.shape[0],
            rows.shape[1],
            rows.dtype.str.encode(),
        )
        failed = self._library.XGBoosterPredictFromDense(
            self._booster.handle,
            array,
            self._options,
            None,
            ctypes.byref(self._shape),
            ctypes.byref(self._ndim),
            ctypes.byref(self._values),
        )
        if failed:
            self._library.XGBGetLastError.restype = ctypes.c_char_p
            raise ValueError(self._library.XGBGetLastError().decode())
        shape = self._shape[: self._ndim.value]
        # The library reuses its memory for the next batch.
        return np.ctypeslib.as_array(self._values, shape=tuple(shape)).copy()

    def close(self) -> None:
        """Drop the booster."""
        self._booster = None


def load(request: LoadRequest) -> XgboostModel:
    """Read a booster and derive its signature from its objective."""
    xgboost = require("xgboost", extra="xgboost")
    booster = xgboost.Booster(params=_parameters(xgboost, request))
    booster.load_model(str(request.path))
    learner = json.loads(booster.save_config())["learner"]
    objective = learner["objective"]["name"]
    classes = _classes(objective, learner["learner_model_param"])
    found = tree_signature(
        request,
        width=booster.num_features(),
        columns=tuple(booster.feature_names or ()),
        classes=classes,
        targets=int(learner["learner_model_param"].get("num_target", "1")),
    )
    return XgboostModel(
        booster,
        agree(found, request),
        objective=objective,
        classes=classes,
        warnings=_categorical_warnings(booster),
    )


def _parameters(xgboost: Any, request: LoadRequest) -> dict[str, Any]:
    index = cuda_index(request.device)
    if index is None:
        return {"nthread": request.threads}
    if not xgboost.build_info().get("USE_CUDA"):
        raise EngineError(
            f"{request.device} was asked for, but the installed XGBoost has no CUDA; "
            "run: pip install xgboost"
        )
    return {"nthread": request.threads, "device": f"cuda:{index}"}


def _classes(objective: str, parameters: dict[str, str]) -> int:
    """How many classes the model tells apart; 0 where its answer is a number."""
    if objective in _BINARY:
        targets = int(parameters.get("num_target", "1"))
        return 2 if objective == "binary:logistic" and targets == 1 else 0
    if objective.startswith("multi:"):
        return int(parameters["num_class"])
    return 0


def _best_rounds(booster: Any) -> int:
    """Rounds to use: up to the best one where training stopped early, else all (0)."""
    best = booster.attr("best_iteration")
    return 0 if best is None else int(best) + 1


def _categorical_warnings(booster: Any) -> tuple[str, ...]:
    names = booster.feature_names or [str(i) for i in range(booster.num_features())]
    categorical = [
        name
        for name, kind in zip(names, booster.feature_types or (), strict=False)
        if kind.startswith("c")
    ]
    if not categorical:
        return ()
    return (f"columns {', '.join(categorical)} are categories: send their codes as numbers",)
