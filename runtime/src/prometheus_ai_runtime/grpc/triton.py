"""The part of Triton's own extensions that means something here: configuration and statistics."""

from collections.abc import Mapping
from typing import Any

from prometheus_ai_runtime.grpc.wire import SIZED, fields, packed, read_text, sized, text, varint
from prometheus_ai_runtime.hosting.host import ModelHost

_KINDS = (
    "TYPE_INVALID",
    "TYPE_BOOL",
    "TYPE_UINT8",
    "TYPE_UINT16",
    "TYPE_UINT32",
    "TYPE_UINT64",
    "TYPE_INT8",
    "TYPE_INT16",
    "TYPE_INT32",
    "TYPE_INT64",
    "TYPE_FP16",
    "TYPE_FP32",
    "TYPE_FP64",
    "TYPE_STRING",
    "TYPE_BF16",
)
_DURATIONS = {"success": 1, "fail": 2, "queue": 3, "compute_infer": 5}


class Triton:
    """Answers ModelConfig and ModelStatistics."""

    def __init__(self, host: ModelHost) -> None:
        self._host = host

    def config(self, message: bytes) -> bytes:
        """ModelConfig."""
        config = self._host.find(*_name_and_version(message)).triton_config()
        pieces = [
            text(1, config["name"]),
            text(2, config["platform"]),
            _number(4, config["max_batch_size"]),
            *(sized(5, _tensor(tensor, dims=4)) for tensor in config["input"]),
            *(sized(6, _tensor(tensor, dims=3)) for tensor in config["output"]),
            text(17, config["backend"]),
        ]
        return sized(1, b"".join(pieces))

    def statistics(self, message: bytes) -> bytes:
        """ModelStatistics, of one model or of all."""
        name, version = _name_and_version(message)
        models = [self._host.find(name, version)] if name else list(self._host)
        return b"".join(sized(1, _statistics(model.statistics())) for model in models)


def _statistics(numbers: Mapping[str, Any]) -> bytes:
    durations = b"".join(
        sized(number, _number(1, spent["count"]) + _number(2, spent["ns"]))
        for key, number in _DURATIONS.items()
        if (spent := numbers["inference_stats"].get(key)) is not None
    )
    return b"".join(
        (
            text(1, numbers["name"]),
            text(2, numbers["version"]),
            _number(4, numbers["inference_count"]),
            _number(5, numbers["execution_count"]),
            sized(6, durations),
        )
    )


def _tensor(tensor: Mapping[str, Any], dims: int) -> bytes:
    kind = _number(2, _KINDS.index(tensor["data_type"]))
    return text(1, tensor["name"]) + kind + packed(dims, tuple(tensor["dims"]))


def _number(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value) if value else b""


def _name_and_version(message: bytes) -> tuple[str, str]:
    named = {
        number: read_text(message, begin, end)
        for number, kind, _, begin, end in fields(message, 0, len(message))
        if kind == SIZED
    }
    return named.get(1, ""), named.get(2, "")
