"""One request's rows on their way through a model's queue, and what comes back."""

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from prometheus_ai_runtime.errors import RequestError
from prometheus_ai_runtime.tensors.decode import Part
from prometheus_ai_runtime.tensors.encode import rows_as_json
from prometheus_ai_runtime.tensors.plan import ShapeKey


class BatchResult:
    """The outputs of one engine call, shared by the requests that were in it."""

    __slots__ = (
        "_json",
        "batched",
        "compute_s",
        "fragments",
        "head",
        "outputs",
        "rows",
        "started",
        "throttled_us",
    )

    def __init__(self, outputs: list[NDArray[Any]], rows: int, batched: bool) -> None:
        self.outputs = outputs
        self.rows = rows
        self.batched = batched
        self.started = 0.0
        self.compute_s = 0.0
        self.throttled_us = 0
        self.head: bytes | None = None
        """Response header lines common to the batch; the HTTP side fills it once."""
        self.fragments: list[bytes] = []
        """The JSON around each output's values in a one-row answer; filled once."""
        self._json: list[list[bytes] | None] | None = None

    def json_rows(self, index: int) -> list[bytes]:
        """Each row of one output as the inside of a flat JSON array; computed once a batch."""
        if self._json is None:
            self._json = [None] * len(self.outputs)
        rows = self._json[index]
        if rows is None:
            array = self.outputs[index]
            if not self.batched:
                array = array.reshape(1, -1)
            rows = self._json[index] = rows_as_json(array, len(array))
        return rows

    def slice_of(self, index: int, first_row: int, rows: int) -> NDArray[Any]:
        """One request's part of one output."""
        array = self.outputs[index]
        return array[first_row : first_row + rows] if self.batched else array


class Crowd(Protocol):
    """Completes many works of one batch in one go."""

    def complete_all(self, works: Sequence["Work"], result: BatchResult) -> None:
        """Complete, settle and count the works that name this crowd and are not settled yet."""


class Work:
    """One request's rows; subclasses say what to do with the answer. Exactly one of both is called."""

    crowd: Crowd | None = None
    """What completes this work together with others of its batch; None: it is completed alone."""

    __slots__ = (
        "arrived",
        "cost",
        "deadline",
        "parts",
        "priority",
        "row_shapes",
        "rows",
        "settled",
        "shape_key",
        "tenant",
        "throttled_from_us",
        "window",
    )

    rows: int
    parts: list[Part]
    row_shapes: ShapeKey
    """The shape of one row of each input, in the signature's order."""
    shape_key: ShapeKey
    """Work with equal keys may share a batch: ``row_shapes``, but for what padding makes equal."""
    arrived: float
    deadline: float
    priority: int
    tenant: str
    cost: int
    settled: bool
    throttled_from_us: int
    window: Any
    """Not None when the answer is wanted piece by piece; see ``batching.streaming``."""

    def complete(self, result: BatchResult, first_row: int) -> None:
        """Take the rows ``first_row`` to ``first_row + rows`` of the result; on the event loop."""
        raise NotImplementedError

    def piece(self, outputs: list[NDArray[Any]]) -> None:
        """Take one piece of a streamed answer; on the event loop, before ``complete`` or ``fail``."""
        raise NotImplementedError

    def fail(self, error: RequestError) -> None:
        """Take the error; on the event loop."""
        raise NotImplementedError
