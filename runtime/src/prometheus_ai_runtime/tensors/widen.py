"""Values of another datatype than the model declares, where every one of them keeps its value.

A release that takes FP64 can then share the traffic of one that takes FP32: clients go on as they are.
"""

import math
from typing import Any

import numpy as np

from prometheus_ai_runtime.errors import InvalidRequest
from prometheus_ai_runtime.signature import TensorSpec
from prometheus_ai_runtime.tensors.plan import NUMPY_DTYPES, Extent, InputPlan

_WHOLE = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
_SMALL = frozenset({"INT8", "INT16", "UINT8", "UINT16"})
ACCEPTS: dict[str, frozenset[str]] = {
    **dict.fromkeys(_WHOLE, _WHOLE),
    "FP32": _SMALL | {"FP16"},
    "FP64": _SMALL | {"INT32", "UINT32", "FP16", "FP32"},
}
"""Declared datatype to what may be sent for it. Whole numbers are looked at one by one: they must fit."""


def accepts(declared: str, sent: object) -> bool:
    """Whether values of one datatype may stand for another."""
    return type(sent) is str and sent in ACCEPTS.get(declared, ())


def sent_plan(plan: InputPlan, sent: str) -> InputPlan:
    """Return the plan by which values are read as they were sent."""
    spec = plan.spec
    return InputPlan(
        TensorSpec(name=spec.name, datatype=sent, shape=spec.shape), plan.index, plan.batched
    )


def widened(plan: InputPlan, sent: str, raw: Any, extent: Extent) -> bytes:
    """Return raw values as the declared datatype; raises InvalidRequest when one does not fit."""
    values = np.frombuffer(raw, NUMPY_DTYPES[sent])
    declared = plan.spec.datatype
    if declared in _WHOLE and values.size:
        bounds = np.iinfo(declared.lower())
        low, high = int(values.min()), int(values.max())
        if low < bounds.min or high > bounds.max:
            misfit = high if high > bounds.max else low
            row = int(np.argmax(values == misfit)) // max(1, math.prod(extent.row_shape))
            raise InvalidRequest(
                f"input `{plan.spec.name}`: expected {declared}, row {row} has {misfit}"
            )
    return values.astype(plan.dtype).tobytes()
