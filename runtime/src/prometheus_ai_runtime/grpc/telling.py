"""Health and metadata over gRPC, and the table of all methods."""

from collections.abc import Callable
from time import perf_counter

from prometheus_ai_runtime.errors import RequestError
from prometheus_ai_runtime.grpc.infer import Inference
from prometheus_ai_runtime.grpc.repository import Repository
from prometheus_ai_runtime.grpc.triton import Triton
from prometheus_ai_runtime.grpc.wire import SIZED, fields, flag, packed, read_text, sized, text
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.hosting.model import HostedModel
from prometheus_ai_runtime.http.inspection import EXTENSIONS, SERVER_NAME, server_version
from prometheus_ai_runtime.http2.call import Call, Method, Methods
from prometheus_ai_runtime.signature import TensorSpec

_SERVICE = b"/inference.GRPCInferenceService/"
_HEALTH = b"/grpc.health.v1.Health/"
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"

Answer = Callable[[bytes], bytes]


class Telling:
    """Answers every method that changes nothing."""

    def __init__(self, host: ModelHost) -> None:
        self._host = host

    def live(self, _message: bytes) -> bytes:
        """ServerLive: from progress, as over HTTP."""
        return flag(1, self._host.is_live(perf_counter()))

    def ready(self, _message: bytes) -> bytes:
        """ServerReady."""
        return flag(1, self._host.is_ready())

    def model_ready(self, message: bytes) -> bytes:
        """ModelReady."""
        model = self._model(message)
        return flag(1, model.ready and not self._host.draining)

    def server(self, _message: bytes) -> bytes:
        """ServerMetadata."""
        extensions = b"".join(text(3, name) for name in EXTENSIONS)
        return text(1, SERVER_NAME) + text(2, server_version()) + extensions

    def model(self, message: bytes) -> bytes:
        """ModelMetadata."""
        model = self._model(message)
        signature = model.plan.signature
        platform = model.metadata([])["platform"]
        return b"".join(
            [
                text(1, model.config.name),
                *(text(2, version) for version in self._host.models[model.config.name]),
                text(3, platform),
                *(sized(4, _tensor(spec)) for spec in signature.inputs),
                *(sized(5, _tensor(spec)) for spec in signature.outputs),
            ]
        )

    def health(self, message: bytes) -> bytes:
        """The standard health check; the service may be empty, a model, or this protocol's."""
        service = _strings(message).get(1, "")
        if service in ("", "inference.GRPCInferenceService"):
            return _SERVING if self._host.is_ready() else _NOT_SERVING
        ready = self._host.find(service).ready and not self._host.draining
        return _SERVING if ready else _NOT_SERVING

    def _model(self, message: bytes) -> HostedModel:
        named = _strings(message)
        return self._host.find(named.get(1, ""), named.get(2, ""))


def methods(host: ModelHost) -> Methods:
    """The table of every method that this server answers."""
    telling = Telling(host)
    inference = Inference(host)
    repository = Repository(host)
    triton = Triton(host)
    return {
        _SERVICE + b"ModelInfer": Method(unary=inference.unary),
        _SERVICE + b"ModelStreamInfer": Method(stream=inference.stream),
        _SERVICE + b"ServerLive": _telling(telling.live),
        _SERVICE + b"ServerReady": _telling(telling.ready),
        _SERVICE + b"ModelReady": _telling(telling.model_ready),
        _SERVICE + b"ServerMetadata": _telling(telling.server),
        _SERVICE + b"ModelMetadata": _telling(telling.model),
        _SERVICE + b"ModelConfig": _telling(triton.config),
        _SERVICE + b"ModelStatistics": _telling(triton.statistics),
        _SERVICE + b"RepositoryIndex": Method(unary=repository.index),
        _SERVICE + b"RepositoryModelLoad": Method(unary=repository.load),
        _SERVICE + b"RepositoryModelUnload": Method(unary=repository.unload),
        _HEALTH + b"Check": _telling(telling.health),
    }


def _telling(answer: Answer) -> Method:
    def unary(call: Call, message: bytes) -> None:
        try:
            call.answer(answer(message))
        except RequestError as error:
            call.refuse(error)

    return Method(unary=unary)


def _strings(message: bytes) -> dict[int, str]:
    return {
        number: read_text(message, begin, end)
        for number, kind, _, begin, end in fields(message, 0, len(message))
        if kind == SIZED
    }


def _tensor(spec: TensorSpec) -> bytes:
    return text(1, spec.name) + text(2, spec.datatype) + packed(3, spec.shape)
