"""Messages between the server and a model's own process: a JSON head and raw tensors after it."""

import socket
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from prometheus_ai_runtime.tensors.binary import join_strings, split_strings

_LENGTHS = struct.Struct("<IQ")
_HEAD_MAX = 64 * 1024 * 1024
_STRINGS = "strings"


class Gone(Exception):
    """The other side closed the connection."""


def send(channel: socket.socket, head: dict[str, Any], tensors: Mapping[str, Any]) -> None:
    """Send one message."""
    described = []
    buffers: list[Any] = []
    for name, tensor in tensors.items():
        array: NDArray[Any] = np.asarray(tensor)
        if array.dtype.kind in "OUS":
            values = [v.encode() if isinstance(v, str) else bytes(v) for v in array.reshape(-1)]
            raw: Any = join_strings(values)
            kind = _STRINGS
        else:
            raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            kind = array.dtype.str
        described.append([name, kind, list(array.shape), len(raw)])
        buffers.append(raw)
    text = orjson.dumps({**head, "tensors": described})
    payload = sum(len(b) for b in buffers)
    channel.sendall(_LENGTHS.pack(len(text), payload) + text)
    for raw in buffers:
        channel.sendall(raw)


def receive(channel: socket.socket) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Receive one message; raises Gone at the end of the connection."""
    head_bytes, payload_bytes = _LENGTHS.unpack(_exactly(channel, _LENGTHS.size))
    if head_bytes > _HEAD_MAX:
        raise Gone("a message with an impossible length")
    head = orjson.loads(_exactly(channel, head_bytes))
    payload = _exactly(channel, payload_bytes)
    tensors: dict[str, NDArray[Any]] = {}
    position = 0
    for name, kind, shape, size in head.pop("tensors"):
        raw = memoryview(payload)[position : position + size]
        position += size
        if kind == _STRINGS:
            count = int(np.prod(shape, dtype=np.int64))
            strings = np.empty(count, dtype=object)
            strings[:] = split_strings(name, raw, count)
            tensors[name] = strings.reshape(shape)
        else:
            tensors[name] = np.frombuffer(raw, kind).reshape(shape)
    return head, tensors


def _exactly(channel: socket.socket, size: int) -> bytearray:
    buffer = bytearray(size)
    view = memoryview(buffer)
    got = 0
    while got < size:
        n = channel.recv_into(view[got:])
        if n == 0:
            raise Gone("the connection ended")
        got += n
    return buffer
