"""PyTorch models: exported programs (.pt2), TorchScript, and whole pickled modules if allowed."""

import io
import json
import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus_ai_runtime.detect import recognise
from prometheus_ai_runtime.engines.agreement import agree, rows_are_free
from prometheus_ai_runtime.engines.base import EngineError, LoadRequest, Tensors, UnsafeFormat
from prometheus_ai_runtime.engines.library import cuda_index, require
from prometheus_ai_runtime.engines.torch_files import export_dangers, export_samples, script_dangers
from prometheus_ai_runtime.signature import Signature, TensorSpec

OPTIONS: frozenset[str] = frozenset()

_DATATYPES = {
    "torch.bool": "BOOL",
    "torch.uint8": "UINT8",
    "torch.uint16": "UINT16",
    "torch.uint32": "UINT32",
    "torch.uint64": "UINT64",
    "torch.int8": "INT8",
    "torch.int16": "INT16",
    "torch.int32": "INT32",
    "torch.int64": "INT64",
    "torch.float16": "FP16",
    "torch.bfloat16": "BF16",
    "torch.float32": "FP32",
    "torch.float64": "FP64",
}
_SIGNATURE_FILE = "signature.json"


class TorchModel:
    """One module on one device."""

    missing_is_nan = False

    def __init__(
        self,
        torch: Any,
        module: Any,
        signature: Signature,
        *,
        device: str,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.signature = signature
        self.batchable = rows_are_free(signature)
        self.warnings = warnings
        self._torch = torch
        self._module = module
        self._device = None if device == "cpu" else torch.device(device)
        self._inputs = tuple(
            (tensor.name, tensor.datatype == "BF16") for tensor in signature.inputs
        )
        self._outputs = tuple(tensor.name for tensor in signature.outputs)

    def predict(self, inputs: Tensors) -> Tensors:
        """Run the module on a batch, its inputs in the order of the signature."""
        with self._torch.inference_mode():
            arguments = [self._tensor(inputs[name], half) for name, half in self._inputs]
            answer = self._module(*arguments)
            return self._named(answer)

    def close(self) -> None:
        """Drop the module and give its GPU memory back."""
        self._module = None
        if self._device is not None:
            self._torch.cuda.empty_cache()

    def _tensor(self, values: NDArray[Any], half: bool) -> Any:
        # The server may hand out arrays over read-only memory; torch warns, the module only reads.
        if not values.flags.writeable:
            values = values.copy()
        tensor = self._torch.from_numpy(np.ascontiguousarray(values))
        if half:
            tensor = tensor.bfloat16()
        return tensor if self._device is None else tensor.to(self._device)

    def _named(self, answer: Any) -> dict[str, NDArray[Any]]:
        if isinstance(answer, dict):
            return {name: self._array(answer[name]) for name in self._outputs}
        listed = answer if isinstance(answer, tuple | list) else (answer,)
        if len(listed) < len(self._outputs):
            raise ValueError(f"the module gave {len(listed)} outputs, not {len(self._outputs)}")
        return {name: self._array(each) for name, each in zip(self._outputs, listed, strict=False)}

    def _array(self, tensor: Any) -> NDArray[Any]:
        if tensor.dtype is self._torch.bfloat16:
            tensor = tensor.float()
        array: NDArray[Any] = tensor.detach().cpu().numpy()
        return array


def load(request: LoadRequest) -> TorchModel:
    """Load a module; its signature comes from the export, the archive or the declaration."""
    torch = require("torch", extra="torch")
    device = _device(torch, request.device)
    torch.set_num_threads(request.threads)
    kind = recognise(request.path).format
    with warnings.catch_warnings():
        # TorchScript is deprecated; whoever serves it has read that when exporting.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        if kind == "torch-export":
            return _load_exported(torch, request, device)
        if kind == "torchscript":
            return _load_script(torch, request, device)
        return _load_pickle(torch, request, device)


def _device(torch: Any, device: str) -> str:
    index = cuda_index(device)
    if index is None:
        return "cpu"
    if not torch.cuda.is_available():
        raise EngineError(
            f"{device} was asked for, but PyTorch sees no CUDA device; check the driver and "
            "that the installed torch is a CUDA build"
        )
    if index >= torch.cuda.device_count():
        raise EngineError(f"{device} was asked for, there are {torch.cuda.device_count()} devices")
    return f"cuda:{index}"


def _load_exported(torch: Any, request: LoadRequest, device: str) -> TorchModel:
    if not request.allow_pickle:
        _refuse(request, _dangers_of_export(torch, request))
    program = require("torch.export", extra="torch").load(str(request.path))
    found = _exported_signature(program, request)
    module = program.module()
    if device != "cpu":
        module = module.to(device)
    return TorchModel(
        torch, module, agree(found, request), device=device, warnings=_narrow_rows(program)
    )


def _dangers_of_export(torch: Any, request: LoadRequest) -> Iterator[str]:
    yield from export_dangers(request.path)
    for sample in export_samples(request.path):
        try:
            torch.load(io.BytesIO(sample), weights_only=True)
        except (pickle.UnpicklingError, RuntimeError) as error:
            yield f"a pickle that is more than tensors ({str(error).splitlines()[0]})"


def _refuse(request: LoadRequest, dangers: Iterator[str]) -> None:
    danger = next(dangers, None)
    if danger is not None:
        raise UnsafeFormat(
            f"{request.path} does more than compute when it is loaded: {danger}; "
            "allow it (--allow-pickle) if you trust who wrote it"
        )


def _exported_signature(program: Any, request: LoadRequest) -> Signature:
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    names = list(program.graph_signature.user_inputs)
    produced = list(program.graph_signature.user_outputs)
    named = program.call_spec.out_spec.unflatten(produced)
    outputs = named if isinstance(named, dict) else dict(_numbered(produced))
    return Signature(
        inputs=tuple(_spec(str(name), values.get(name), request) for name in names),
        outputs=tuple(_spec(name, values.get(node), request) for name, node in outputs.items()),
    )


def _numbered(names: list[str]) -> list[tuple[str, str]]:
    if len(names) == 1:
        return [("output", names[0])]
    return [(f"output_{position}", name) for position, name in enumerate(names)]


def _spec(name: str, value: Any, request: LoadRequest) -> TensorSpec:
    datatype = _DATATYPES.get(str(getattr(value, "dtype", None)))
    if datatype is None:
        raise EngineError(
            f"`{name}` of {request.path} is no tensor that can be served; export a module whose "
            "inputs and outputs are plain tensors, or a dict of them as output"
        )
    shape = tuple(dim if isinstance(dim, int) else -1 for dim in value.shape)
    return TensorSpec(name=name, datatype=datatype, shape=shape)


def _narrow_rows(program: Any) -> tuple[str, ...]:
    """Warn where the export accepts only some batch sizes."""
    found = []
    for symbol, limits in program.range_constraints.items():
        if limits.lower > 1:
            found.append(
                f"dimension {symbol} was exported for sizes from {limits.lower}; "
                "export again with Dim(..., min=1) and an example of more than one row"
            )
    return tuple(found)


def _load_script(torch: Any, request: LoadRequest, device: str) -> TorchModel:
    if not request.allow_pickle:
        _refuse(request, script_dangers(request.path))
    extra = {_SIGNATURE_FILE: ""}
    module = torch.jit.load(str(request.path), map_location=device, _extra_files=extra)
    module.eval()
    declared = _written_signature(extra[_SIGNATURE_FILE], request) or request.signature
    arguments = [argument.name for argument in module.forward.schema.arguments][1:]
    if declared is None:
        raise EngineError(
            f"TorchScript keeps no shapes, so {request.path} needs a declared signature with the "
            f"inputs {', '.join(arguments)}; or save it with _extra_files={{'{_SIGNATURE_FILE}': "
            "…}, or use torch.export"
        )
    by_name = {tensor.name: tensor for tensor in declared.inputs}
    if set(by_name) != set(arguments[: len(by_name)]):
        raise EngineError(
            f"the signature has inputs {', '.join(by_name)}, but forward() of {request.path} "
            f"takes {', '.join(arguments)}; use its names"
        )
    ordered = Signature(
        inputs=tuple(by_name[name] for name in arguments if name in by_name),
        outputs=declared.outputs,
        columns=declared.columns,
    )
    agree(ordered, request)
    return TorchModel(torch, module, ordered, device=device)


def _written_signature(text: str | bytes, request: LoadRequest) -> Signature | None:
    if not text:
        return None
    try:
        written = json.loads(text)
        return Signature(
            inputs=tuple(_written_spec(tensor) for tensor in written["inputs"]),
            outputs=tuple(_written_spec(tensor) for tensor in written["outputs"]),
            columns=tuple(written.get("columns", ())),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"{_SIGNATURE_FILE} inside {request.path} is no signature: {error}; it must have "
            "inputs and outputs, each a list of name, datatype and shape"
        ) from error


def _written_spec(tensor: dict[str, Any]) -> TensorSpec:
    if tensor["datatype"] not in _DATATYPES.values():
        raise ValueError(f"datatype {tensor['datatype']!r} is not known")
    shape = tuple(int(dim) for dim in tensor["shape"])
    return TensorSpec(name=tensor["name"], datatype=tensor["datatype"], shape=shape)


def _load_pickle(torch: Any, request: LoadRequest, device: str) -> TorchModel:
    if not request.allow_pickle:
        raise UnsafeFormat(
            f"{request.path} is a torch.save pickle, which runs code when it is loaded; "
            "export the module with torch.export.save, or allow it (--allow-pickle) if you trust "
            "who wrote it"
        )
    module = torch.load(str(request.path), map_location=device, weights_only=False)
    if not isinstance(module, torch.nn.Module):
        raise EngineError(
            f"{request.path} holds a {type(module).__name__}, not a module: weights alone cannot "
            "run; export the module with torch.export.save"
        )
    if request.signature is None:
        raise EngineError(
            f"a pickled module keeps no shapes, so {request.path} needs a declared signature"
        )
    module.eval()
    return TorchModel(torch, module, request.signature, device=device)
