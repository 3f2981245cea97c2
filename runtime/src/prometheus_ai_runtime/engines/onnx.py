"""ONNX models, executed by ONNX Runtime."""

from typing import Any

from prometheus_ai_runtime.engines.agreement import agree, as_bytes, as_text, rows_are_free
from prometheus_ai_runtime.engines.base import EngineError, LoadRequest, Tensors
from prometheus_ai_runtime.engines.library import cuda_index, require
from prometheus_ai_runtime.signature import Signature, TensorSpec

OPTIONS: frozenset[str] = frozenset()

_DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
_LOG_ERRORS_ONLY = 3


class OnnxModel:
    """One inference session."""

    missing_is_nan = False

    def __init__(self, session: Any, signature: Signature, *, batchable: bool) -> None:
        self.signature = signature
        self.batchable = batchable
        self.warnings: tuple[str, ...] = ()
        self._names = [tensor.name for tensor in signature.outputs]
        self._text_inputs = _named_bytes(signature.inputs)
        self._text_outputs = _named_bytes(signature.outputs)
        # The session's own `run` checks names again and costs as much as a small model does.
        inner = getattr(session, "_sess", None)
        self._run = session.run if inner is None else inner.run

    def predict(self, inputs: Tensors) -> Tensors:
        """Run the session on a batch."""
        feed = dict(inputs)
        for name in self._text_inputs:
            feed[name] = as_text(feed[name])
        outputs = dict(zip(self._names, self._run(self._names, feed, None), strict=True))
        for name in self._text_outputs:
            outputs[name] = as_bytes(outputs[name])
        return outputs

    def close(self) -> None:
        """Drop the session and its memory."""
        self._run = _closed


def load(request: LoadRequest) -> OnnxModel:
    """Open an ONNX file."""
    onnxruntime = require("onnxruntime", extra="onnx")
    session = onnxruntime.InferenceSession(
        str(request.path),
        sess_options=_session_options(onnxruntime, request.threads),
        providers=_providers(onnxruntime, request.device),
    )
    _refuse_fallback(session, request.device)
    found = Signature(
        inputs=tuple(_tensor(node, request) for node in session.get_inputs()),
        outputs=tuple(_tensor(node, request) for node in _served_outputs(session, request)),
    )
    signature = agree(found, request)
    batchable = rows_are_free(signature) and _share_rows(session)
    return OnnxModel(session, signature, batchable=batchable)


def _session_options(onnxruntime: Any, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_ERRORS_ONLY
    # It would keep a plan of memory for every shape that ever came: batches times lengths of texts.
    options.enable_mem_pattern = False
    # Spinning threads burn the CPU quota while the model waits for work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def _providers(onnxruntime: Any, device: str) -> list[Any]:
    index = cuda_index(device)
    if index is None:
        return ["CPUExecutionProvider"]
    available = onnxruntime.get_available_providers()
    if "CUDAExecutionProvider" not in available:
        raise EngineError(
            f"{device} was asked for, but the installed ONNX Runtime has only "
            f"{', '.join(available)}; run: pip install onnxruntime-gpu"
        )
    return [("CUDAExecutionProvider", {"device_id": str(index)}), "CPUExecutionProvider"]


def _refuse_fallback(session: Any, device: str) -> None:
    if device != "cpu" and "CUDAExecutionProvider" not in session.get_providers():
        raise EngineError(
            f"ONNX Runtime could not use {device} and fell back to the CPU; "
            "check the driver and the CUDA libraries it needs"
        )


def _served_outputs(session: Any, request: LoadRequest) -> list[Any]:
    nodes = session.get_outputs()
    if request.signature is None:
        return list(nodes)
    wanted = {tensor.name for tensor in request.signature.outputs}
    return [node for node in nodes if node.name in wanted or node.type in _DATATYPES]


def _tensor(node: Any, request: LoadRequest) -> TensorSpec:
    if node.type in _DATATYPES:
        shape = tuple(dim if isinstance(dim, int) and dim >= 0 else -1 for dim in node.shape)
        return TensorSpec(name=node.name, datatype=_DATATYPES[node.type], shape=shape)
    if "map(" in node.type:
        raise EngineError(
            f"output `{node.name}` of {request.path} is a list of maps ({node.type}), which is "
            "not a tensor; export again with options={'zipmap': False} in skl2onnx.to_onnx, "
            "or declare a signature without this output"
        )
    raise EngineError(
        f"`{node.name}` of {request.path} has type {node.type}, which cannot be served; "
        "export the model with plain tensors of a type that NumPy has"
    )


def _share_rows(session: Any) -> bool:
    """Whether all inputs name the same first dimension, so that one row means one row of each."""
    rows = {node.shape[0] for node in session.get_inputs() if isinstance(node.shape[0], str)}
    return len(rows) <= 1


def _named_bytes(tensors: tuple[TensorSpec, ...]) -> tuple[str, ...]:
    return tuple(tensor.name for tensor in tensors if tensor.datatype == "BYTES")


def _closed(*_: Any) -> Any:
    raise EngineError("the model was closed")
