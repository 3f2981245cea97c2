"""Inference answers: a batch's outputs enter, protocol messages and trailers leave."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus_ai_runtime.batching.work import BatchResult
from prometheus_ai_runtime.grpc.request import Layout
from prometheus_ai_runtime.grpc.wire import flag, packed, sized, text, varint
from prometheus_ai_runtime.hosting.model import HostedModel
from prometheus_ai_runtime.http2.hpack import literal
from prometheus_ai_runtime.http2.status import STATUS_OK
from prometheus_ai_runtime.signature import TensorSpec
from prometheus_ai_runtime.tensors.encode import raw_bytes

_HEADS_CACHED_MAX = 256
_OUTPUTS, _RAW_OUTPUTS = 5, 6
_RAW_TAG = varint(_RAW_OUTPUTS << 3 | 2)
_ONLY_RAW = ("FP16", "BF16")
_CONTENTS_FIELD = {
    "BOOL": 1,
    "INT8": 2,
    "INT16": 2,
    "INT32": 2,
    "INT64": 3,
    "UINT8": 4,
    "UINT16": 4,
    "UINT32": 4,
    "UINT64": 5,
    "FP32": 6,
    "FP64": 7,
}


class Answers:
    """Writes the answers of one model."""

    def __init__(self, model: HostedModel) -> None:
        self._label = literal(b"x-pai-release", model.config.label.encode())
        self._outputs = model.plan.signature.outputs
        self._names = text(1, model.config.name) + text(2, model.config.version)
        self._heads: dict[Any, bytes] = {}
        self._last_result: BatchResult | None = None
        self._last_trailers = b""

    def message(
        self, layout: Layout, result: BatchResult, first_row: int, request_id: str
    ) -> bytes:
        """Encode one request's rows of the batch."""
        wanted = layout.wanted
        arrays = [result.slice_of(index, first_row, layout.rows) for index in wanted]
        names = self._names + text(3, request_id) if request_id else self._names
        if layout.typed and not any(self._outputs[i].datatype in _ONLY_RAW for i in wanted):
            return names + b"".join(
                sized(
                    _OUTPUTS,
                    _described(self._outputs[i], array, _contents(self._outputs[i], array)),
                )
                for i, array in zip(wanted, arrays, strict=True)
            )
        key = (wanted, *[array.shape for array in arrays])
        head = self._heads.get(key)
        if head is None:
            head = self._head(key, wanted, arrays)
        pieces = [names, head]
        for index, array in zip(wanted, arrays, strict=True):
            raw = raw_bytes(self._outputs[index], array)
            pieces += (_RAW_TAG, varint(len(raw)), raw)
        return b"".join(pieces)

    def piece(self, layout: Layout, outputs: list[NDArray[Any]], request_id: str) -> bytes:
        """Encode one piece of a streamed answer."""
        result = BatchResult(outputs, layout.rows, batched=False)
        return self.message(layout, result, 0, request_id)

    def last(self, request_id: str) -> bytes:
        """A message without outputs that says that the answer is over."""
        final = sized(4, text(1, "triton_final_response") + sized(2, flag(1, value=True)))
        return self._names + text(3, request_id) + final

    def trailers(self, result: BatchResult, arrived: float, throttled_us: int, rid: bytes) -> bytes:
        """The status and the context of the batch that carried the request."""
        if result is not self._last_result:
            self._last_result = result
            self._last_trailers = b"".join(
                (
                    STATUS_OK,
                    self._label,
                    literal(b"x-pai-compute-us", b"%d" % (result.compute_s * 1e6)),
                    literal(b"x-pai-batch-rows", b"%d" % result.rows),
                )
            )
        queue_us = b"%d" % ((result.started - arrived) * 1e6)
        throttled = b"%d" % throttled_us
        return b"%b\0\x0ex-pai-queue-us%c%b\0\x12x-pai-throttled-us%c%b\0\x0cx-request-id%b" % (
            self._last_trailers,
            len(queue_us),
            queue_us,
            len(throttled),
            throttled,
            literal(b"", rid)[2:],
        )

    def _head(self, key: Any, wanted: tuple[int, ...], arrays: list[NDArray[Any]]) -> bytes:
        head = b"".join(
            sized(_OUTPUTS, _described(self._outputs[index], array, b""))
            for index, array in zip(wanted, arrays, strict=True)
        )
        if len(self._heads) >= _HEADS_CACHED_MAX:
            self._heads.clear()
        self._heads[key] = head
        return head


def _described(spec: TensorSpec, array: NDArray[Any], contents: bytes) -> bytes:
    tensor = text(1, spec.name) + text(2, spec.datatype) + packed(3, array.shape)
    return tensor + sized(5, contents) if contents else tensor


def _contents(spec: TensorSpec, array: NDArray[Any]) -> bytes:
    """Encode values in the typed field of their datatype."""
    flat = array.reshape(-1)
    if spec.datatype == "BYTES":
        return b"".join(sized(8, v.encode() if isinstance(v, str) else bytes(v)) for v in flat)
    if spec.datatype in ("FP32", "FP64"):
        body = np.ascontiguousarray(flat).tobytes()
    else:
        body = b"".join(map(varint, flat.tolist()))
    return sized(_CONTENTS_FIELD[spec.datatype], body)
