"""One engine call for a batch: put rows together, run, check, and find the row that fails."""

from collections.abc import Callable, Generator, Sequence
from threading import Lock
from time import perf_counter
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from prometheus_ai_runtime.batching.work import BatchResult, Work
from prometheus_ai_runtime.engines.base import LoadedModel, PreparingModel, StreamingModel, Tensors
from prometheus_ai_runtime.errors import ModelFailed, RequestError
from prometheus_ai_runtime.tensors.encode import normal_output
from prometheus_ai_runtime.tensors.plan import NUMPY_DTYPES, InputPlan, Plan

Segment = tuple[Sequence[Work], BatchResult | RequestError]


class EngineCall:
    """A loaded model with what is needed to call it with requests' raw rows."""

    __slots__ = ("_dtypes", "_preparing", "model", "plan", "rows_max")

    def __init__(self, model: LoadedModel, plan: Plan, rows_max: int) -> None:
        self.model = model
        self.plan = plan
        self.rows_max = rows_max
        self._preparing = Lock()
        self._dtypes = [NUMPY_DTYPES[s.datatype] for s in plan.signature.outputs]

    def run(
        self, works: Sequence[Work], prepared: Callable[[], Any] | None = None
    ) -> list[Segment]:
        """Run the batch; on failure halve it until only the requests at fault fail.

        ``prepared`` gives what ``prepare`` made of the same works.
        """
        if self._gave_up(works):
            return [(works, ModelFailed("nobody waits for this any more"))]
        try:
            return [(works, self._call(works, prepared))]
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            if len(works) == 1:
                return [(works, failure_of(error))]
            middle = len(works) // 2
            return self.run(works[:middle]) + self.run(works[middle:])

    @property
    def streams(self) -> bool:
        """Whether the model yields pieces."""
        found = getattr(self.model, "streams", None)
        return callable(getattr(self.model, "stream", None)) if found is None else bool(found)

    @property
    def predicts(self) -> bool:
        """Whether the model answers at once; one that does not only yields pieces."""
        return bool(getattr(self.model, "predicts", True))

    @property
    def prepares(self) -> bool:
        """Whether inputs can be prepared on one thread while the model runs on another."""
        return callable(getattr(self.model, "prepare", None))

    def prepare(self, works: Sequence[Work]) -> Any:
        """Put the rows together and let the model prepare them, for ``run`` later."""
        rows = sum([w.rows for w in works])
        inputs = {p.spec.name: self._input(p, works, rows) for p in self.plan.inputs}
        with self._preparing:
            return cast(PreparingModel, self.model).prepare(inputs)

    def stream(self, work: Work) -> Generator[list[NDArray[Any]], None, None]:
        """Yield one request's outputs piece by piece; closing it closes the model's own iterator."""
        inputs = {p.spec.name: self._input(p, (work,), work.rows) for p in self.plan.inputs}
        model = cast(StreamingModel, self.model)
        pieces = model.stream(inputs)
        try:
            for piece in pieces:
                yield self._outputs(piece, None)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    @staticmethod
    def _gave_up(works: Sequence[Work]) -> bool:
        """Whether looking for the fault has outlasted everybody who waits."""
        return all(w.settled for w in works)

    def _call(
        self, works: Sequence[Work], prepared: Callable[[], Any] | None = None
    ) -> BatchResult:
        started = perf_counter()
        rows = works[0].rows if len(works) == 1 else sum([w.rows for w in works])
        if prepared is not None:
            outputs = self._outputs(cast(PreparingModel, self.model).run(prepared()), rows)
        else:
            inputs = {p.spec.name: self._input(p, works, rows) for p in self.plan.inputs}
            if rows <= self.rows_max or not self.plan.batched:
                outputs = self._predict(inputs, rows)
            else:
                outputs = self._in_slices(inputs, rows)
        result = BatchResult(outputs, rows, self.plan.batched)
        result.started = started
        result.compute_s = perf_counter() - started
        return result

    def _predict(self, inputs: dict[str, NDArray[Any]], rows: int) -> list[NDArray[Any]]:
        if not self.prepares:
            return self._outputs(self.model.predict(inputs), rows)
        model = cast(PreparingModel, self.model)
        with self._preparing:
            prepared = model.prepare(inputs)
        return self._outputs(model.run(prepared), rows)

    def _outputs(self, raw: Tensors, rows: int | None) -> list[NDArray[Any]]:
        """The outputs in the signature's order and datatypes; ``rows`` is None for pieces."""
        outputs = []
        for spec, dtype in zip(self.plan.signature.outputs, self._dtypes, strict=True):
            try:
                array = raw[spec.name]
            except KeyError:
                raise ValueError(f"the model gave no output `{spec.name}`") from None
            array = normal_output(spec, array, dtype)
            if (
                rows is not None
                and self.plan.batched
                and (array.ndim == 0 or array.shape[0] != rows)
            ):
                raise ValueError(
                    f"output `{spec.name}` has shape {array.shape} for a batch of {rows} rows"
                )
            outputs.append(array)
        return outputs

    def _in_slices(self, inputs: dict[str, NDArray[Any]], rows: int) -> list[NDArray[Any]]:
        """A request larger than a batch runs in several calls; its answer is whole."""
        pieces = []
        for start in range(0, rows, self.rows_max):
            stop = min(start + self.rows_max, rows)
            part = {name: array[start:stop] for name, array in inputs.items()}
            pieces.append(self._predict(part, stop - start))
        return [np.concatenate(columns) for columns in zip(*pieces, strict=True)]

    def _input(self, plan: InputPlan, works: Sequence[Work], rows: int) -> NDArray[Any]:
        index = plan.index
        shape = works[0].row_shapes[index]
        if index in self.plan.padded and len(works) > 1:
            return _padded_input(plan, works, rows, self.plan.padded[index])
        if self.plan.batched:
            shape = (rows, *shape)
        if plan.spec.datatype == "BYTES":
            strings = np.empty(sum(len(w.parts[index]) for w in works), dtype=object)
            strings[:] = [value for w in works for value in w.parts[index]]
            return strings.reshape(shape)
        if len(works) == 1:
            raw: Any = works[0].parts[index]
        else:
            raw = bytearray().join([w.parts[index] for w in works])  # type: ignore[misc]
        return _numbers(plan, raw, shape)


def _numbers(plan: InputPlan, raw: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    if plan.spec.datatype == "BF16":
        wide = np.frombuffer(raw, "<u2").astype("<u4") << 16
        return wide.view("<f4").reshape(shape)
    return np.frombuffer(raw, plan.dtype).reshape(shape)


def _padded_input(plan: InputPlan, works: Sequence[Work], rows: int, fill: float) -> NDArray[Any]:
    """Rows of unequal shape, each filled up at its ends to the longest."""
    shapes = [w.row_shapes[plan.index] for w in works]
    longest = tuple(max(sizes) for sizes in zip(*shapes, strict=True))
    batch = np.full((rows, *longest), fill, dtype=plan.dtype)
    first = 0
    for work, shape in zip(works, shapes, strict=True):
        own = _numbers(plan, work.parts[plan.index], (work.rows, *shape))
        batch[(slice(first, first + work.rows), *(slice(0, n) for n in shape))] = own
        first += work.rows
    return batch


def failure_of(error: Exception) -> RequestError:
    """What the client is told when the model raised."""
    if isinstance(error, RequestError):
        return error
    text = str(error).strip().split("\n", 1)[0][:500]
    return ModelFailed(f"the model failed on this request: {type(error).__name__}: {text}")
