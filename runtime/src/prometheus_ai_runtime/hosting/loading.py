"""From a model's configuration to a model that has answered: import, load, warm-up, self-check."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import orjson

from prometheus_ai_runtime.batching.engine_call import EngineCall
from prometheus_ai_runtime.batching.work import BatchResult, Work
from prometheus_ai_runtime.config import ModelConfig
from prometheus_ai_runtime.detect import detect
from prometheus_ai_runtime.engines import load
from prometheus_ai_runtime.engines.base import LoadedModel, LoadRequest
from prometheus_ai_runtime.errors import RequestError
from prometheus_ai_runtime.hosting.isolation import IsolatedModel, start_isolated
from prometheus_ai_runtime.hosting.memory import resident_bytes
from prometheus_ai_runtime.optional import load_optional
from prometheus_ai_runtime.tensors.decode import decode
from prometheus_ai_runtime.tensors.plan import PaddingImpossible, Plan

_LIBRARIES = {
    "onnx": "onnxruntime",
    "sklearn": "sklearn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "torch": "torch",
    "huggingface": "transformers",
}
_COMPILED = ("onnx", "sklearn", "xgboost", "lightgbm")
_INLINE_US_MAX = 400.0
_WARM_UP_S = 0.5
_ROUNDS = 3
_FREE_DIMENSION = 1


class LoadFailed(Exception):
    """The model could not be loaded in time or in the room there is, or did not pass warm-up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A model ready to serve."""

    engine: str
    model: LoadedModel
    plan: Plan
    call: EngineCall
    inline_us_max: float
    memory_bytes: int
    timings: tuple[tuple[int, float], ...] = ()
    """Rows and seconds of each warm-up batch."""
    warnings: tuple[str, ...] = ()
    life: IsolatedModel | None = None
    """The engine's own process, where it has one."""

    def close(self) -> None:
        """Free the model; may block."""
        self.model.close()


Progress = Callable[[str, float], None]
"""Told each phase that begins and the seconds that the one before it took."""


def load_model(config: ModelConfig, threads: int, progress: Progress) -> Loaded:
    """Load one model and run it with the shapes of its signature.

    Raises EngineError when it cannot be loaded and LoadFailed when it cannot answer.
    """
    before = resident_bytes()
    began = perf_counter()
    progress("importing", 0.0)
    engine = config.engine or detect(config.path)
    isolated = config.isolation == "process"
    if not isolated:
        _import_library(engine)
    progress("loading", perf_counter() - began)
    began = perf_counter()
    request = LoadRequest(
        path=config.path,
        signature=config.signature,
        threads=threads,
        device=config.device,
        allow_pickle=config.allow_pickle,
        options=config.options,
    )
    worker = start_isolated(engine, request) if isolated else None
    model: LoadedModel = worker or load(engine, request)
    try:
        plan = Plan(model.signature, model.batchable, config.batching.pad)
    except PaddingImpossible as error:
        model.close()
        raise LoadFailed(f"model {config.label}: {error}") from None
    call = EngineCall(model, plan, config.batching.rows_max)
    progress("warming", perf_counter() - began)
    began = perf_counter()
    try:
        timings, warnings = _warm_up(call, config)
    except LoadFailed:
        model.close()
        raise
    progress("ready", perf_counter() - began)
    memory = resident_bytes(worker.pid) if worker else max(0, resident_bytes() - before)
    return Loaded(
        engine=engine,
        model=model,
        plan=plan,
        call=call,
        inline_us_max=_inline_us_max(config, engine),
        memory_bytes=memory,
        timings=timings,
        warnings=(*model.warnings, *warnings),
        life=worker,
    )


def _inline_us_max(config: ModelConfig, engine: str) -> float:
    # A call into another process, or into a user's Python, may hang; on the loop it would hang all.
    if config.isolation == "process":
        return 0.0
    if config.batching.inline_us_max is not None:
        return config.batching.inline_us_max
    return _INLINE_US_MAX if engine in _COMPILED else 0.0


def _import_library(engine: str) -> None:
    """Import ahead of loading, so that both can be timed."""
    library = _LIBRARIES.get(engine)
    if library is None:
        return
    try:
        load_optional(library)
    except ImportError:
        # The engine itself says what is missing and how to install it.
        return


class _Sample(Work):
    """Warm-up rows; nobody waits for the answer."""

    __slots__ = ()

    def __init__(self, parts: list[Any], shapes: tuple[tuple[int, ...], ...], rows: int) -> None:
        self.parts = parts
        self.row_shapes = self.shape_key = shapes
        self.rows = rows
        self.settled = False
        self.window = None


Timings = tuple[tuple[int, float], ...]


def _warm_up(call: EngineCall, config: ModelConfig) -> tuple[Timings, tuple[str, ...]]:
    sample = _declared_sample(call.plan, config.warm_up)
    if sample is not None and not call.predicts:
        _first_piece(call, sample, config)
        return (), ()
    if sample is not None:
        runs = [_run(call, sample, config) for _ in range(_ROUNDS + 1)]
        return tuple(runs[1:]), ()
    texts = any(p.spec.datatype == "BYTES" for p in call.plan.inputs)
    try:
        return _warm_up_with_zeros(call, config), ()
    except LoadFailed as error:
        # Made-up text or categories may be refused by a sound model.
        if not texts:
            raise
        return (), (f"{error}; give `warm_up` a real request to check the model with",)


def _warm_up_with_zeros(call: EngineCall, config: ModelConfig) -> Timings:
    if not call.predicts:
        _first_piece(call, _zeros(call.plan, 1), config)
        return ()
    # The first call of all allocates; its time says nothing of the next.
    _, spent_s = _run(call, _zeros(call.plan, 1), config)
    timings: list[tuple[int, float]] = []
    sizes = [1, call.rows_max] if call.plan.batched and call.rows_max > 1 else [1]
    for rows in sizes:
        for _ in range(_ROUNDS):
            if spent_s > _WARM_UP_S:
                return tuple(timings)
            timings.append(_run(call, _zeros(call.plan, rows), config))
            spent_s += timings[-1][1]
    return tuple(timings)


def _first_piece(call: EngineCall, sample: _Sample, config: ModelConfig) -> None:
    """Warm up a model that only streams; an empty stream is an answer too."""
    pieces = call.stream(sample)
    try:
        next(pieces, None)
    except Exception as error:
        raise LoadFailed(f"model {config.label} failed its warm-up: {error}") from error
    finally:
        pieces.close()


def _run(call: EngineCall, sample: _Sample, config: ModelConfig) -> tuple[int, float]:
    _, result = call.run([sample])[0]
    if not isinstance(result, BatchResult):
        raise LoadFailed(f"model {config.label} failed its warm-up: {result.message}")
    for spec, array in zip(call.plan.signature.outputs, result.outputs, strict=True):
        if len(array.shape) != len(spec.shape) or any(
            want not in (-1, got) for want, got in zip(spec.shape, array.shape, strict=True)
        ):
            raise LoadFailed(
                f"model {config.label} failed its self-check: output `{spec.name}` has shape "
                f"{list(array.shape)}, its signature says {list(spec.shape)}"
            )
    return sample.rows, result.compute_s


def _declared_sample(plan: Plan, body: Mapping[str, Any] | None) -> _Sample | None:
    if body is None:
        return None
    try:
        decoded = decode(plan, orjson.dumps(dict(body)), None, False)
    except RequestError as error:
        raise LoadFailed(f"`warm_up` is not a request that the model takes: {error}") from None
    return _Sample(decoded.parts, decoded.row_shapes, decoded.rows)


def _zeros(plan: Plan, rows: int) -> _Sample:
    parts: list[Any] = []
    shapes = []
    for spec_plan in plan.inputs:
        spec = spec_plan.spec
        wanted = spec.shape[1:] if plan.batched else spec.shape
        shape = tuple(_FREE_DIMENSION if n < 0 else n for n in wanted)
        count = rows if plan.batched else 1
        for n in shape:
            count *= n
        is_text = spec.datatype == "BYTES"
        parts.append([b""] * count if is_text else bytes(count * spec_plan.item_bytes))
        shapes.append(shape)
    return _Sample(parts, tuple(shapes), rows)
