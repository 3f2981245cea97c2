"""What XGBoost and LightGBM share: scores of a class become labels and probabilities."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus_ai_runtime.engines.base import LoadRequest
from prometheus_ai_runtime.signature import Signature, TensorSpec


def tree_signature(
    request: LoadRequest, *, width: int, columns: tuple[str, ...], classes: int, targets: int
) -> Signature:
    """Say what a tree ensemble takes and gives; ``classes`` is 0 for a regressor.

    Trees compare 32-bit numbers, or 64-bit ones where the declared signature says so.
    """
    declared = () if request.signature is None else request.signature.inputs
    wide = any(tensor.datatype == "FP64" for tensor in declared)
    inputs = (TensorSpec(name="input", datatype="FP64" if wide else "FP32", shape=(-1, width)),)
    if classes:
        outputs: tuple[TensorSpec, ...] = (
            TensorSpec(name="label", datatype="INT64", shape=(-1,)),
            TensorSpec(name="probability", datatype="FP32", shape=(-1, classes)),
        )
    else:
        shape = (-1,) if targets == 1 else (-1, targets)
        outputs = (TensorSpec(name="output", datatype="FP32", shape=shape),)
    return Signature(inputs=inputs, outputs=outputs, columns=columns)


def answers_of(scores: NDArray[Any], *, classes: int) -> dict[str, NDArray[Any]]:
    """Name a booster's answer: regression values, or labels with the probability of each class."""
    if not classes:
        return {"output": np.ascontiguousarray(scores, dtype=np.float32)}
    probability = scores.astype(np.float32, copy=False)
    if probability.ndim == 1:
        probability = np.stack((1 - probability, probability), axis=1)
    return {"label": probability.argmax(axis=1), "probability": probability}


def softmax(margins: NDArray[Any]) -> NDArray[Any]:
    """Turn margins into probabilities, row by row."""
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    result: NDArray[Any] = powers / powers.sum(axis=1, keepdims=True)
    return result
