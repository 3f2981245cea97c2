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
_SHARED_BYTES_MAX = 1 << 20
"""Larger batches are not copied as a whole, nor kept until the next one."""
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
    """Writes the answers of one model.

    The answers of a batch share what can be shared: each output's bytes are made once, and requests
    cut their rows out of them.
    """

    def __init__(self, model: HostedModel) -> None:
        self._label = literal(b"x-pai-release", model.config.label.encode())
        self._outputs = model.plan.signature.outputs
        self._sized = all(spec.datatype not in ("BYTES", "BF16") for spec in self._outputs)
        self._names = text(1, model.config.name) + text(2, model.config.version)
        self._heads: dict[Any, tuple[bytes, ...]] = {}
        self._last_result: BatchResult | None = None
        self._last_trailers = b""
        self._last_raw: list[bytes] = []
        self._last_shapes: tuple[tuple[int, ...], ...] = ()

    def message(
        self, layout: Layout, result: BatchResult, first_row: int, request_id: str
    ) -> bytes:
        """Encode one request's rows of the batch."""
        if layout.typed or not self._sized or not result.batched:
            return self._each(layout, result, first_row, request_id)
        if result is not self._last_result:
            self._begin(result)
        if not self._last_raw:
            return self._each(layout, result, first_row, request_id)
        rows = layout.rows
        key = (layout.wanted, rows, self._last_shapes)
        heads = self._heads.get(key)
        if heads is None:
            arrays = [result.slice_of(index, first_row, rows) for index in layout.wanted]
            heads = self._remember(key, layout.wanted, arrays)
        pieces: list[bytes] = []
        for index, head in zip(layout.wanted, heads, strict=True):
            raw = self._last_raw[index]
            stride = len(raw) // result.rows
            start = first_row * stride
            pieces += (head, raw[start : start + rows * stride])
        if request_id:
            pieces.append(text(3, request_id))
        return b"".join(pieces)

    def _begin(self, result: BatchResult) -> None:
        """Make what all answers of a batch share."""
        self._last_result = result
        shared = (
            self._sized and sum([array.nbytes for array in result.outputs]) <= _SHARED_BYTES_MAX
        )
        self._last_raw = [array.tobytes() for array in result.outputs] if shared else []
        self._last_shapes = tuple([array.shape[1:] for array in result.outputs])
        self._last_trailers = b"".join(
            (
                STATUS_OK,
                self._label,
                literal(b"x-pai-compute-us", b"%d" % (result.compute_s * 1e6)),
                literal(b"x-pai-batch-rows", b"%d" % result.rows),
            )
        )

    def _remember(
        self, key: Any, wanted: tuple[int, ...], arrays: list[NDArray[Any]]
    ) -> tuple[bytes, ...]:
        """What stands before each output's bytes; before the first, also every description."""
        described = b"".join(
            sized(_OUTPUTS, _described(self._outputs[index], array, b""))
            for index, array in zip(wanted, arrays, strict=True)
        )
        heads = [_RAW_TAG + varint(array.nbytes) for array in arrays]
        heads[0] = self._names + described + heads[0]
        if len(self._heads) >= _HEADS_CACHED_MAX:
            self._heads.clear()
        self._heads[key] = tuple(heads)
        return self._heads[key]

    def _each(self, layout: Layout, result: BatchResult, first_row: int, request_id: str) -> bytes:
        """Encode rows without sharing: typed answers, values of no fixed size, single answers."""
        wanted = layout.wanted
        arrays = [result.slice_of(index, first_row, layout.rows) for index in wanted]
        is_typed = layout.typed and not any(self._outputs[i].datatype in _ONLY_RAW for i in wanted)
        pieces = [self._names, text(3, request_id)]
        raws = []
        for index, array in zip(wanted, arrays, strict=True):
            spec = self._outputs[index]
            contents = _contents(spec, array) if is_typed else b""
            pieces.append(sized(_OUTPUTS, _described(spec, array, contents)))
            if not is_typed:
                raws.append(sized(_RAW_OUTPUTS, raw_bytes(spec, array)))
        return b"".join(pieces + raws)

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
            self._begin(result)
        queue_us = b"%d" % ((result.started - arrived) * 1e6)
        throttled = b"%d" % throttled_us
        identity = literal(b"x-request-id", rid)
        return b"%b\0\x0ex-pai-queue-us%c%b\0\x12x-pai-throttled-us%c%b%b" % (
            self._last_trailers,
            len(queue_us),
            queue_us,
            len(throttled),
            throttled,
            identity,
        )


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
