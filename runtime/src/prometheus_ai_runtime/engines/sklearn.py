"""scikit-learn models: classifiers, regressors, clusterers, transformers and their pipelines."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus_ai_runtime.engines.agreement import (
    NUMPY_TYPES,
    agree,
    as_bytes,
    as_text,
    datatype_of,
)
from prometheus_ai_runtime.engines.base import EngineError, LoadRequest, Tensors
from prometheus_ai_runtime.engines.library import require, require_cpu
from prometheus_ai_runtime.engines.sklearn_files import parts, read_estimator
from prometheus_ai_runtime.signature import Signature, TensorSpec

OPTIONS = frozenset({"trusted", "version_mismatch"})

_TEXT_READERS = ("CountVectorizer", "HashingVectorizer", "TfidfVectorizer")
_READS_NAMES = ("ColumnTransformer", "FunctionTransformer", "make_column_selector")
# Their `predict` is the class with the highest `predict_proba`, so one pass answers both.
_VOTERS = ("DecisionTreeClassifier", "ExtraTreesClassifier", "RandomForestClassifier")

Rows = Any
"""What an estimator takes: an array, a list of str or a pandas DataFrame."""


class SklearnModel:
    """One estimator behind named tensors."""

    batchable = True

    def __init__(
        self,
        estimator: Any,
        signature: Signature,
        *,
        rows: Callable[[Tensors], Rows],
        notes: tuple[str, ...],
    ) -> None:
        self.signature = signature
        self.missing_is_nan = _probe(estimator, signature.inputs, rows, np.nan) is not None
        self.warnings = notes
        self._estimator = estimator
        self._rows = rows
        self._outputs = tuple(
            (tensor.name, NUMPY_TYPES[tensor.datatype]) for tensor in signature.outputs
        )
        self._votes = _is_voter(estimator) and len(self._outputs) == 2

    def predict(self, inputs: Tensors) -> Tensors:
        """Ask the estimator for every output of the signature."""
        rows = self._rows(inputs)
        if self._votes:
            answers = self._vote(rows)
        else:
            answers = {name: self._answer(name, rows) for name, _ in self._outputs}
        return {
            name: as_bytes(answers[name])
            if dtype.kind == "O"
            else np.ascontiguousarray(answers[name], dtype=dtype)
            for name, dtype in self._outputs
        }

    def close(self) -> None:
        """Drop the estimator."""
        self._estimator = None

    def _answer(self, name: str, rows: Rows) -> NDArray[Any]:
        return _answer(self._estimator, name, rows)

    def _vote(self, rows: Rows) -> dict[str, NDArray[Any]]:
        probability = self._estimator.predict_proba(rows)
        label = self._estimator.classes_.take(probability.argmax(axis=1), axis=0)
        return {"label": label, "probability": probability}


def load(request: LoadRequest) -> SklearnModel:
    """Read an estimator and derive its signature."""
    require_cpu(request.device, engine="sklearn")
    read = read_estimator(request)
    estimator = read.estimator
    if not hasattr(estimator, "predict") and not hasattr(estimator, "transform"):
        raise EngineError(
            f"{request.path} holds a {type(estimator).__name__}, which has neither predict nor "
            "transform; save the fitted estimator itself"
        )
    _run_alone(estimator)
    columns = tuple(str(name) for name in getattr(estimator, "feature_names_in_", ()))
    inputs = _inputs(estimator, columns, request)
    rows = _row_reader(estimator, inputs, columns)
    signature = Signature(
        inputs=inputs,
        outputs=_outputs(estimator, inputs, rows, request),
        columns=columns if len(inputs) == 1 else (),
    )
    if read.warnings:
        _check_answers(rows, signature, estimator, request, read.warnings[0])
    # For the whole process and for good: other models may rely on it when this one is unloaded.
    require("threadpoolctl", extra="sklearn").threadpool_limits(request.threads)
    return SklearnModel(
        estimator,
        agree(signature, request),
        rows=rows,
        notes=read.warnings,
    )


def _check_answers(
    rows: Callable[[Tensors], Rows],
    signature: Signature,
    estimator: Any,
    request: LoadRequest,
    mismatch: str,
) -> None:
    """Blame the versions when an estimator of another one lacks what this one looks for.

    scikit-learn says "not fitted" then, which is not what is wrong.
    """
    try:
        with np.errstate(all="ignore"):
            _answer(estimator, signature.outputs[-1].name, rows(_sample(signature.inputs, 0)))
    except AttributeError as error:
        raise EngineError(f"{request.path}: {mismatch} (it fails here: {error})") from error
    except Exception:  # noqa: BLE001 - a model may refuse a made-up row in any way
        return


def _run_alone(estimator: Any) -> None:
    """Stop estimators from starting worker threads for one batch; that costs more than it gives."""
    for part in parts(estimator):
        if getattr(part, "n_jobs", None) not in (None, 1):
            part.n_jobs = 1


def _inputs(
    estimator: Any, columns: tuple[str, ...], request: LoadRequest
) -> tuple[TensorSpec, ...]:
    declared = () if request.signature is None else request.signature.inputs
    chosen = {tensor.name: tensor.datatype for tensor in declared}
    if _reads_text(estimator):
        return (TensorSpec(name="input", datatype="BYTES", shape=(-1,)),)
    if columns:
        found = dict.fromkeys(columns, "FP64") | _categorical_columns(estimator, columns)
        if set(chosen) == set(columns) or "BYTES" in found.values():
            return tuple(
                TensorSpec(name=column, datatype=chosen.get(column, datatype), shape=(-1,))
                for column, datatype in found.items()
            )
    width = getattr(estimator, "n_features_in_", -1)
    datatype = chosen.get("input", "FP64")
    return (TensorSpec(name="input", datatype=datatype, shape=(-1, int(width))),)


def _categorical_columns(estimator: Any, columns: tuple[str, ...]) -> dict[str, str]:
    """Find the columns that an encoder inside the pipeline learned as strings."""
    found = {}
    for part in parts(estimator):
        names = getattr(part, "feature_names_in_", None)
        categories = getattr(part, "categories_", None)
        if names is None or categories is None or len(names) != len(categories):
            continue
        for name, values in zip(names, categories, strict=True):
            if name in columns and np.asarray(values).dtype.kind in "OSU":
                found[str(name)] = "BYTES"
    return found


def _row_reader(
    estimator: Any, inputs: tuple[TensorSpec, ...], columns: tuple[str, ...]
) -> Callable[[Tensors], Rows]:
    if _reads_text(estimator):
        return lambda tensors: as_text(tensors["input"])
    if len(inputs) > 1 or (columns and inputs[0].name == columns[0]):
        return _column_reader(require("pandas", extra="tables"), inputs)
    if columns and _needs_names(estimator):
        frame = require("pandas", extra="tables").DataFrame
        return lambda tensors: frame(tensors["input"], columns=list(columns), copy=False)
    if columns:
        _forget_names(estimator)
    return lambda tensors: tensors["input"]


def _column_reader(pandas: Any, inputs: tuple[TensorSpec, ...]) -> Callable[[Tensors], Rows]:
    text = {tensor.name for tensor in inputs if tensor.datatype == "BYTES"}

    def read(tensors: Tensors) -> Rows:
        return pandas.DataFrame(
            {
                tensor.name: as_text(tensors[tensor.name])
                if tensor.name in text
                else tensors[tensor.name]
                for tensor in inputs
            },
            copy=False,
        )

    return read


def _needs_names(estimator: Any) -> bool:
    """Whether anything inside may look columns up by name; code that is not known might."""
    for part in parts(estimator):
        if type(part).__name__ in _READS_NAMES or hasattr(part, "_sklearn_output_config"):
            return True
        if hasattr(part, "get_params") and not type(part).__module__.startswith("sklearn."):
            return True
    return False


def _forget_names(estimator: Any) -> None:
    """Let an estimator that never uses its column names take plain arrays: a row costs less."""
    for part in parts(estimator):
        vars_of = getattr(part, "__dict__", {})
        if isinstance(vars_of, dict):
            vars_of.pop("feature_names_in_", None)


def _outputs(
    estimator: Any,
    inputs: tuple[TensorSpec, ...],
    rows: Callable[[Tensors], Rows],
    request: LoadRequest,
) -> tuple[TensorSpec, ...]:
    if hasattr(estimator, "classes_") and hasattr(estimator, "predict"):
        return _classifier_outputs(estimator, request)
    answer = _probe(estimator, inputs, rows, 0)
    shape = (-1,) if answer is None else (-1, *answer.shape[1:])
    if answer is not None and answer.dtype.kind in "iu":
        return (TensorSpec(name="label", datatype="INT64", shape=shape),)
    datatype = _chosen(request, "output", "FP64")
    return (TensorSpec(name="output", datatype=datatype, shape=shape),)


def _classifier_outputs(estimator: Any, request: LoadRequest) -> tuple[TensorSpec, ...]:
    classes = estimator.classes_
    if isinstance(classes, list):
        datatype = _label_datatype(np.asarray(classes[0]))
        return (TensorSpec(name="label", datatype=datatype, shape=(-1, len(classes))),)
    label = TensorSpec(name="label", datatype=_label_datatype(classes), shape=(-1,))
    if not hasattr(estimator, "predict_proba"):
        return (label,)
    datatype = _chosen(request, "probability", "FP64")
    return (
        label,
        TensorSpec(name="probability", datatype=datatype, shape=(-1, len(classes))),
    )


def _label_datatype(classes: NDArray[Any]) -> str:
    datatype = datatype_of(classes.dtype)
    return "INT64" if datatype.startswith(("INT", "UINT")) else datatype


def _chosen(request: LoadRequest, name: str, default: str) -> str:
    """Take FP32 where the declared signature wants it; estimators do not fix the width."""
    declared = () if request.signature is None else request.signature.outputs
    wanted = {tensor.name: tensor.datatype for tensor in declared}.get(name)
    return wanted if default == "FP64" and wanted == "FP32" else default


def _probe(
    estimator: Any,
    inputs: tuple[TensorSpec, ...],
    rows: Callable[[Tensors], Rows],
    number: float,
) -> NDArray[Any] | None:
    """Learn what answers look like from one made-up row, or nothing if the model refuses it."""
    sample = _sample(inputs, number)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return _answer(estimator, "output", rows(sample))
        except Exception:  # noqa: BLE001 - a model may refuse a made-up row in any way
            return None


def _sample(inputs: tuple[TensorSpec, ...], number: float) -> dict[str, NDArray[Any]]:
    """Make up one row."""
    sample = {}
    for tensor in inputs:
        dtype = NUMPY_TYPES[tensor.datatype]
        fill = number if dtype.kind == "f" else b"" if dtype.kind == "O" else 0
        sample[tensor.name] = np.full([1 if n == -1 else n for n in tensor.shape], fill, dtype)
    return sample


def _answer(estimator: Any, name: str, rows: Rows) -> NDArray[Any]:
    if name == "probability":
        answer = estimator.predict_proba(rows)
    elif hasattr(estimator, "predict"):
        answer = estimator.predict(rows)
    else:
        answer = estimator.transform(rows)
    return np.asarray(answer.todense() if hasattr(answer, "todense") else answer)


def _last_step(estimator: Any) -> Any:
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def _is_voter(estimator: Any) -> bool:
    last = _last_step(estimator)
    return type(last).__module__.startswith("sklearn.") and type(last).__name__ in _VOTERS


def _reads_text(estimator: Any) -> bool:
    first = estimator.steps[0][1] if hasattr(estimator, "steps") else estimator
    return type(first).__name__ in _TEXT_READERS
