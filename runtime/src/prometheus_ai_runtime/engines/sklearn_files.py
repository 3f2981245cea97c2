"""Read scikit-learn models from disk: skops without running code, pickles only when allowed."""

import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from prometheus_ai_runtime.engines.base import EngineError, LoadRequest, UnsafeFormat
from prometheus_ai_runtime.engines.library import require

# Types that skops leaves to its caller. They hold numbers and run no code of the file's choosing;
# the index arrays inside trees are checked below, because scikit-learn follows them unchecked.
_VETTED = frozenset(
    {
        "numpy.dtype",
        "numpy.mean",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
    }
)
_PARTS_MAX = 2_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadModel:
    """An estimator and what was noticed while reading it."""

    estimator: Any
    warnings: tuple[str, ...]


def read_estimator(request: LoadRequest) -> ReadModel:
    """Read the estimator in a file.

    Option ``trusted`` names further types a skops file may hold. Option ``version_mismatch`` is
    ``warn`` (the default) or ``refuse``.
    """
    require("sklearn", extra="sklearn")
    policy = request.options.get("version_mismatch", "warn")
    if policy not in ("warn", "refuse"):
        raise EngineError(f"option version_mismatch is {policy!r}; use warn or refuse")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if zipfile.is_zipfile(request.path):
                estimator = _read_skops(request)
            else:
                estimator = _read_pickle(request)
        except EngineError:
            raise
        except (AttributeError, ImportError, KeyError, TypeError, ValueError) as error:
            # What another version renamed or moved ends in one of these; the warning knows better why.
            for message in _version_messages(caught):
                raise EngineError(f"{request.path}: {message} (reading ends: {error})") from error
            raise
    messages = _version_messages(caught)
    if messages and policy == "refuse":
        raise EngineError(f"{request.path}: {messages[0]}")
    return ReadModel(estimator=estimator, warnings=messages)


def parts(estimator: Any) -> Iterator[Any]:
    """Yield the estimator and everything it holds, each object once."""
    seen: set[int] = set()
    waiting = [estimator]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, str | bytes | int | float | type(None)):
            continue
        seen.add(id(part))
        if len(seen) > _PARTS_MAX:
            raise EngineError(f"the model holds more than {_PARTS_MAX} objects; export it to ONNX")
        yield part
        waiting.extend(_held(part))


def _held(part: Any) -> list[Any]:
    if isinstance(part, dict):
        return list(part.values())
    if isinstance(part, list | tuple | set | frozenset):
        return list(part)
    if isinstance(part, np.ndarray):
        return list(part.ravel()) if part.dtype == np.object_ else []
    if isinstance(part, type) or not type(part).__module__:
        return []
    return list(getattr(part, "__dict__", {}).values())


def _read_skops(request: LoadRequest) -> Any:
    skops = require("skops.io", extra="sklearn")
    unknown = set(skops.get_untrusted_types(file=request.path))
    option = request.options.get("trusted", ())
    if isinstance(option, str) or not all(isinstance(name, str) for name in option):
        raise EngineError("option trusted must be a list of type names")
    refused = sorted(unknown - _VETTED - set(option))
    if refused and not request.allow_pickle:
        raise UnsafeFormat(
            f"{request.path} holds types that are not known to be safe: {', '.join(refused)}; "
            "read their code, then name them in the engine option `trusted`"
        )
    estimator = skops.load(request.path, trusted=sorted(unknown))
    _check_trees(estimator, request)
    return estimator


def _read_pickle(request: LoadRequest) -> Any:
    if not request.allow_pickle:
        raise UnsafeFormat(
            f"{request.path} is a pickle, which runs code when it is loaded; save the model with "
            "skops.io.dump, or allow it (--allow-pickle) if you trust who wrote it"
        )
    joblib = require("joblib", extra="sklearn")
    return joblib.load(request.path)


def _version_messages(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    messages = {}
    for warning in caught:
        original = getattr(warning.message, "original_sklearn_version", None)
        if original is None:
            continue
        current = getattr(warning.message, "current_sklearn_version", "another")
        messages[original] = (
            f"trained with scikit-learn {original} and loaded with {current}, which may change "
            f"its answers; run: pip install scikit-learn=={original}"
        )
    return tuple(messages.values())


def _check_trees(estimator: Any, request: LoadRequest) -> None:
    """Refuse trees whose indices leave their arrays: following them would read foreign memory."""
    for part in parts(estimator):
        name = f"{type(part).__module__}.{type(part).__qualname__}"
        if name == "sklearn.tree._tree.Tree":
            sound = _is_sound_tree(part)
        elif name.endswith("predictor.TreePredictor"):
            sound = _is_sound_predictor(part)
        else:
            continue
        if not sound:
            raise UnsafeFormat(
                f"{request.path} holds a decision tree that points outside itself; "
                "the file is damaged or forged"
            )


def _is_sound_tree(tree: Any) -> bool:
    nodes = np.arange(tree.node_count)
    left, right = tree.children_left, tree.children_right
    inner = left != -1
    return bool(
        len(left) == tree.node_count
        and len(tree.value) == tree.node_count
        and np.array_equal(inner, right != -1)
        # Children come after their parent in every tree that scikit-learn grows: no cycles.
        and (left[inner] > nodes[inner]).all()
        and (right[inner] > nodes[inner]).all()
        and (left[inner] < tree.node_count).all()
        and (right[inner] < tree.node_count).all()
        and (tree.feature[inner] >= 0).all()
        and (tree.feature[inner] < tree.n_features).all()
    )


def _is_sound_predictor(predictor: Any) -> bool:
    nodes = predictor.nodes
    index = np.arange(len(nodes))
    inner = nodes["is_leaf"] == 0
    children = (nodes["left"][inner], nodes["right"][inner])
    categorical = inner & (nodes["is_categorical"] != 0)
    bitsets = nodes["bitset_idx"][categorical]
    return len(nodes) > 0 and bool(
        all((child > index[inner]).all() and (child < len(nodes)).all() for child in children)
        and (bitsets < len(predictor.raw_left_cat_bitsets)).all()
        and (nodes["feature_idx"][inner] >= 0).all()
    )
