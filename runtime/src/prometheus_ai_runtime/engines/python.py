"""A Python class of the user's as a model: ``file.py`` or ``file.py:Class``."""

import importlib.util
import inspect
import sys
import traceback
import types
import typing
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prometheus_ai_runtime.engines.agreement import (
    NUMPY_TYPES,
    agree,
    as_bytes,
    as_text,
    datatype_of,
    rows_are_free,
)
from prometheus_ai_runtime.engines.base import EngineError, LoadRequest, Tensors
from prometheus_ai_runtime.signature import DATATYPES, Signature, TensorSpec

OPTIONS = frozenset({"arguments"})

_SCALARS = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES", bytes: "BYTES"}
_ITERATORS = (Generator, Iterable, Iterator)
_OFFERED = ("threads", "device")
_EXAMPLE = (
    "def predict(self, image: Annotated[NDArray[np.float32], -1, 64]) "
    "-> Annotated[NDArray[np.int64], -1]"
)


class PythonModel:
    """An instance of the user's class behind named tensors."""

    warnings: tuple[str, ...] = ()

    def __init__(self, instance: Any, signature: Signature, *, batchable: bool) -> None:
        self.signature = signature
        self.batchable = batchable
        self.missing_is_nan = bool(getattr(instance, "missing_is_nan", False))
        self.predicts = callable(getattr(instance, "predict", None))
        self._instance = instance
        self._lists = _list_parameters(_taking(type(instance)))
        self._takes_batch = _takes_batch(type(instance), signature)

    def predict(self, inputs: Tensors) -> Tensors:
        """Call the user's ``predict`` and check what it gives."""
        return self._named(self._call(self._instance.predict, inputs))

    def close(self) -> None:
        """Call the user's ``close``, where there is one."""
        close = getattr(self._instance, "close", None)
        if callable(close):
            close()
        self._instance = None

    def _call(self, function: Callable[..., Any], inputs: Tensors) -> Any:
        if self._takes_batch:
            return function(dict(inputs))
        return function(**{name: self._argument(name, inputs[name]) for name in inputs})

    def _argument(self, name: str, values: Any) -> Any:
        wanted = self._lists.get(name)
        if wanted is None:
            return values
        return as_text(values).tolist() if wanted is str else values.tolist()

    def _named(self, answer: Any) -> Tensors:
        outputs = self.signature.outputs
        if not isinstance(answer, Mapping):
            if len(outputs) != 1:
                names = ", ".join(tensor.name for tensor in outputs)
                raise TypeError(f"predict must give a dict with {names}, not {type(answer)}")
            answer = {outputs[0].name: answer}
        return {tensor.name: _array(answer, tensor) for tensor in outputs}


class PreparingPythonModel(PythonModel):
    """A class that prepares a batch while its ``predict`` runs another."""

    def predict(self, inputs: Tensors) -> Tensors:
        """Prepare and run."""
        return self.run(self.prepare(inputs))

    def prepare(self, inputs: Tensors) -> Any:
        """Call the user's ``prepare``."""
        return self._call(self._instance.prepare, inputs)

    def run(self, prepared: Any) -> Tensors:
        """Call the user's ``predict`` with what ``prepare`` gave, and check what it gives."""
        return self._named(self._instance.predict(prepared))


class StreamingPythonModel(PythonModel):
    """A class that also yields partial answers."""

    def stream(self, inputs: Tensors) -> Iterator[Tensors]:
        """Yield what the user's ``stream`` yields."""
        pieces = self._call(self._instance.stream, inputs)
        try:
            for piece in pieces:
                yield self._named(piece)
        finally:
            # Generators stop their work here; plain iterators have nothing to stop.
            getattr(pieces, "close", _nothing)()


def load(request: LoadRequest) -> PythonModel:
    """Import the file, make the instance, let it load."""
    file, class_name = split(request.path)
    model_class = _find_class(_import(file), class_name, file)
    found = _signature(model_class, request)
    instance = _started(model_class, file, request)
    signature = agree(found, request)
    batchable = bool(getattr(model_class, "batchable", True)) and rows_are_free(signature)
    streams = callable(getattr(model_class, "stream", None))
    adapter = StreamingPythonModel if streams else PythonModel
    if not streams and _prepares(model_class):
        adapter = PreparingPythonModel
    return adapter(instance, signature, batchable=batchable)


def split(path: Path) -> tuple[Path, str]:
    """Take ``file.py:Class`` apart; the class is empty when it is not named."""
    file, _, class_name = str(path).partition(".py:")
    return (Path(f"{file}.py"), class_name) if class_name else (path, "")


def _import(file: Path) -> types.ModuleType:
    if not file.is_file():
        raise EngineError(f"model {file} does not exist; check the path")
    # Modules beside the file are importable, but never shadow installed ones.
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    name = f"_pai_model_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise EngineError(f"{file} is not a Python source file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _BlamingUser(file, "importing"):
        spec.loader.exec_module(module)
    return module


def _find_class(module: types.ModuleType, class_name: str, file: Path) -> type:
    if class_name:
        found = getattr(module, class_name, None)
        if not isinstance(found, type):
            raise EngineError(f"{file} has no class {class_name}; check the part after the colon")
        candidates = [found]
    else:
        candidates = [
            each
            for each in vars(module).values()
            if isinstance(each, type)
            and each.__module__ == module.__name__
            and (hasattr(each, "predict") or hasattr(each, "stream"))
        ]
    if len(candidates) != 1:
        names = ", ".join(each.__name__ for each in candidates) or "none"
        raise EngineError(
            f"{file} must hold one class with predict or stream, it has {names}; "
            f"name one: {file}:Class"
        )
    if not hasattr(candidates[0], "predict") and not hasattr(candidates[0], "stream"):
        raise EngineError(f"class {candidates[0].__name__} of {file} has no predict method")
    return candidates[0]


def _started(model_class: Any, file: Path, request: LoadRequest) -> Any:
    arguments = request.options.get("arguments", {})
    if not isinstance(arguments, Mapping):
        raise EngineError("option arguments must be an object of keyword arguments")
    with _BlamingUser(file, f"making {model_class.__name__}"):
        instance = model_class(**arguments)
    start = getattr(instance, "load", None)
    if start is None:
        return instance
    offered = {"threads": request.threads, "device": request.device}
    wanted = inspect.signature(start).parameters
    extra = {name: offered[name] for name in _OFFERED if name in wanted}
    with _BlamingUser(file, "load()"):
        start(file.resolve().parent, **extra)
    return instance


class _BlamingUser:
    """Turns an error of the user's code into one that names the user's line."""

    def __init__(self, file: Path, doing: str) -> None:
        self._file = file
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if not isinstance(error, Exception):
            return
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(trace)
            if frame.filename == str(self._file)
        ]
        where = f"{self._file}:{lines[-1]}" if lines else str(self._file)
        raise EngineError(
            f"{self._doing} failed at {where}: {type(error).__name__}: {error}"
        ) from error


def _signature(model_class: Any, request: LoadRequest) -> Signature:
    written = getattr(model_class, "signature", None)
    if isinstance(written, Signature):
        return written
    if isinstance(written, Mapping):
        return _from_mapping(written, model_class)
    method = _taking(model_class)
    hints = typing.get_type_hints(method, include_extras=True)
    answer = typing.get_type_hints(_answering(model_class), include_extras=True).get("return")
    parameters = _parameters(method)
    if parameters and all(name in hints for name in parameters) and answer is not None:
        return Signature(
            inputs=tuple(_from_hint(name, hints[name], model_class) for name in parameters),
            outputs=_from_answer(answer, model_class),
        )
    if request.signature is not None:
        return request.signature
    raise EngineError(
        f"class {model_class.__name__} does not say what it takes and gives; annotate it "
        f"({_EXAMPLE}), or add a class attribute `signature`"
    )


def _answering(model_class: Any) -> Callable[..., Any]:
    return typing.cast(
        Callable[..., Any], getattr(model_class, "predict", None) or model_class.stream
    )


def _taking(model_class: Any) -> Callable[..., Any]:
    """The method that gets the inputs."""
    if _prepares(model_class):
        return typing.cast(Callable[..., Any], model_class.prepare)
    return _answering(model_class)


def _prepares(model_class: Any) -> bool:
    """Whether ``prepare`` takes tensors and ``predict`` what it gives: one thing that is no tensor."""
    prepare, predict = getattr(model_class, "prepare", None), getattr(model_class, "predict", None)
    if not callable(prepare) or not callable(predict):
        return False
    given, taken = _are_tensors(prepare), _are_tensors(predict)
    return bool(given) and all(given) and taken == [False]


def _are_tensors(method: Callable[..., Any]) -> list[bool]:
    """For each parameter whether its annotation names a tensor."""
    hints = typing.get_type_hints(method)
    return [_element_datatype(hints.get(name)) is not None for name in _parameters(method)]


def _parameters(method: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(method).parameters)[1:]


def _takes_batch(model_class: Any, signature: Signature) -> bool:
    """Whether the method has one parameter that is no input: it gets all tensors in a dict."""
    parameters = _parameters(_taking(model_class))
    names = {tensor.name for tensor in signature.inputs}
    return len(parameters) == 1 and parameters[0] not in names


def _list_parameters(method: Callable[..., Any]) -> dict[str, type]:
    hints = typing.get_type_hints(method)
    return {
        name: typing.get_args(hint)[0]
        for name, hint in hints.items()
        if name != "return" and typing.get_origin(hint) is list and typing.get_args(hint)
    }


def _from_answer(hint: Any, model_class: Any) -> tuple[TensorSpec, ...]:
    if typing.get_origin(hint) in _ITERATORS:
        hint = typing.get_args(hint)[0]
    if typing.is_typeddict(hint):
        fields = typing.get_type_hints(hint, include_extras=True)
        return tuple(_from_hint(name, each, model_class) for name, each in fields.items())
    return (_from_hint("output", hint, model_class),)


def _from_hint(name: str, hint: Any, model_class: Any) -> TensorSpec:
    """Read one annotation: the element type, then the dimensions after the first comma."""
    shape: tuple[Any, ...] = (-1,)
    if typing.get_origin(hint) is typing.Annotated:
        hint, *rest = typing.get_args(hint)
        shape = tuple(rest)
    datatype = _element_datatype(hint)
    if datatype is None or not shape or not all(type(dim) is int and dim >= -1 for dim in shape):
        raise EngineError(
            f"the annotation of `{name}` in class {model_class.__name__} names no tensor; "
            f"write it like this: {_EXAMPLE}"
        )
    return TensorSpec(name=name, datatype=datatype, shape=shape)


def _element_datatype(hint: Any) -> str | None:
    if typing.get_origin(hint) is list:
        return _SCALARS.get(typing.get_args(hint)[0])
    if typing.get_origin(hint) is np.ndarray:
        (element,) = typing.get_args(typing.get_args(hint)[1])
        if isinstance(element, type) and issubclass(element, np.generic):
            return datatype_of(np.dtype(element))
    return None


def _from_mapping(written: Mapping[str, Any], model_class: Any) -> Signature:
    sides = []
    for side in ("inputs", "outputs"):
        tensors = []
        for tensor in written.get(side, ()):
            if not isinstance(tensor, Mapping) or tensor.get("datatype") not in DATATYPES:
                raise EngineError(
                    f"`signature` of class {model_class.__name__}: {side} must be a list of "
                    '{"name": …, "datatype": …, "shape": […]}'
                )
            shape = tuple(int(dim) for dim in tensor["shape"])
            tensors.append(
                TensorSpec(name=tensor["name"], datatype=tensor["datatype"], shape=shape)
            )
        sides.append(tuple(tensors))
    return Signature(inputs=sides[0], outputs=sides[1], columns=tuple(written.get("columns", ())))


def _array(answer: Mapping[str, Any], tensor: TensorSpec) -> Any:
    if tensor.name not in answer:
        raise KeyError(f"the model gave no output `{tensor.name}`, it gave {sorted(answer)}")
    values = np.asarray(answer[tensor.name])
    if tensor.datatype == "BYTES":
        return as_bytes(values)
    converted = np.ascontiguousarray(values, dtype=NUMPY_TYPES[tensor.datatype])
    if converted.ndim != len(tensor.shape) and values.ndim != len(tensor.shape):
        raise ValueError(
            f"output `{tensor.name}` has shape {list(values.shape)}, the signature says "
            f"{list(tensor.shape)}"
        )
    return converted


def _nothing() -> None:
    return None
