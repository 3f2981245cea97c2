"""The short way through plain requests: what a client writes around its values, it writes again.

A body is its values with a text before and ``}]}`` after them. Once a body has been decoded in full,
and its surroundings alone have been shown to say no more than one tensor's name, datatype and shape,
the next body with the same surroundings needs only its values read.
"""

import struct
from typing import Any, NamedTuple, cast

import orjson

from prometheus_ai_runtime.tensors.decode import Decoded, Part
from prometheus_ai_runtime.tensors.plan import Extent, Plan

_KNOWN_MAX = 128
_TEXT_BYTES_MAX = 512
_BODY_BYTES_MAX = 64 * 1024
"""Larger ones are looked through before they are parsed, which the long way does."""
_VALUES = b'"data":'
AFTER_VALUES = b"}]}"
UNSOUND = (ValueError, TypeError, AttributeError, OverflowError, struct.error)
"""What reading values that do not fit can raise."""
_TENSOR_KEYS = {"name", "datatype", "shape", "data"}
_loads = orjson.loads


class Known(NamedTuple):
    """What a text before the values says."""

    decoded: Decoded
    """Shared by all bodies that are written alike; it holds no values."""
    extent: Extent
    values_at: int


class Shortcuts:
    """Texts before the values that were seen for one model, and what they say."""

    __slots__ = ("_before", "_known", "_last", "_plan")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[bytes, Known] = {}
        self._before = b" "
        """The text that was found last, and what it says; it needs no search."""
        self._last: Known | None = None

    def read(self, body: bytes) -> tuple[Known, Part] | None:
        """What a body says, when its surroundings are known and its values are sound; else None.

        None does not say that anything is wrong: the long way finds out.
        """
        if body.startswith(self._before):
            start, known = len(self._before), self._last
        else:
            start = body.find(b"[", body.find(_VALUES))
            known = self._known.get(body[:start])
            if known is not None:
                self._before, self._last = body[:start], known
        if known is None or body[-3:] != AFTER_VALUES or len(body) > _BODY_BYTES_MAX:
            return None
        extent = known.extent
        try:
            values = _loads(body[start:-3])
            if extent.pack is not None:
                return known, extent.pack(*values)
            if len(values) == extent.count:
                return known, [value.encode() for value in values]
        except UNSOUND:
            pass
        return None

    def learn(self, body: bytes, decoded: Decoded) -> None:
        """Remember what surrounds the values of a body that was decoded in full."""
        start = body.find(b"[", body.find(_VALUES))
        if (
            not 0 < start <= _TEXT_BYTES_MAX
            or body[-3:] != AFTER_VALUES
            or len(self._plan.inputs) != 1
        ):
            return
        plan = self._plan.inputs[0]
        tensor = _only_tensor(body[:start] + b"[]" + AFTER_VALUES)
        if tensor is None or decoded.wanted is not None or decoded.id is not None:
            return
        if tensor["name"] != plan.spec.name or tensor["datatype"] != plan.spec.datatype:
            return
        extent = plan.extent(tensor["shape"])
        if extent.pack is None and plan.spec.datatype != "BYTES":
            return
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        shared = Decoded(decoded.rows, [], decoded.row_shapes)
        self._known[body[:start]] = Known(shared, extent, start)


def _only_tensor(text: bytes) -> dict[str, Any] | None:
    """The one tensor of a body that says nothing else, or None."""
    try:
        document = _loads(text)
    except orjson.JSONDecodeError:
        return None
    if type(document) is not dict or document.keys() != {"inputs"}:
        return None
    inputs = document["inputs"]
    if type(inputs) is not list or len(inputs) != 1 or type(inputs[0]) is not dict:
        return None
    tensor = cast(dict[str, Any], inputs[0])
    # The empty list must have become this tensor's values, not part of something that came before.
    return tensor if tensor.keys() == _TENSOR_KEYS and tensor["data"] == [] else None
