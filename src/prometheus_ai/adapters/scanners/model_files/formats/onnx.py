"""ONNX: protobuf, walked field by field without its library."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from prometheus_ai.adapters.scanners.model_files.scan import Scan
from prometheus_ai.adapters.scanners.model_files.source import Unreadable

DEPTH_MAX = 64
_OWN_DOMAINS = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft",
     "com.microsoft.nchwc", "com.microsoft.internal.nhwc"}
)  # fmt: skip
_CODE_OPERATORS = frozenset({"PyOp", "PythonOp", "PythonOpGrad", "PyCustomOp", "ATen"})
_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
_EXTERNAL = 1


def read_onnx(data: memoryview, scan: Scan) -> None:
    """Read a whole model.

    Raises:
        Unreadable: a byte belongs to no field that ONNX knows.
    """
    scan.notes.is_format("onnx")
    own, graphs = set(_OWN_DOMAINS), []
    for field, value in _fields(data):
        if field not in _MODEL_FIELDS:
            raise Unreadable(f"holds field {field}, which ONNX does not know", "trailing")
        if field == 7:
            graphs.append((value, 7))
        elif field == 25:
            graphs.append((value, 25))
            own.add(_domain(value))
    if not graphs:
        raise Unreadable("holds no graph")
    for value, field in graphs:
        if field == 7:
            _graph(value, scan, own, 0)
        else:
            for inner, node in _fields(_message(value)):
                if inner == 7:
                    _node(_message(node), scan, own, 0)


def _domain(function: Any) -> str:
    for field, value in _fields(_message(function)):
        if field == 10:
            return _text(value)
    return ""


def _graph(value: Any, scan: Scan, own: set[str], depth: int) -> None:
    if depth > DEPTH_MAX:
        raise Unreadable(f"graphs are nested deeper than {DEPTH_MAX}", "bomb")
    for field, part in _fields(_message(value)):
        if field == 1:
            _node(_message(part), scan, own, depth)
        elif field == 5:
            _tensor(_message(part), scan)
        elif field == 15:
            for inner, tensor in _fields(_message(part)):
                if inner in (1, 2):
                    _tensor(_message(tensor), scan)


def _node(data: memoryview, scan: Scan, own: set[str], depth: int) -> None:
    operator, domain = "", ""
    for field, value in _fields(data):
        if field == 4:
            operator = _text(value)
        elif field == 7:
            domain = _text(value)
        elif field == 5:
            _attribute(_message(value), scan, own, depth)
    if operator in _CODE_OPERATORS:
        scan.notes.unsafe(f"uses the operator {operator}, which runs Python", "", operator)
    elif domain not in own:
        scan.notes.unsafe(f"uses operators of the native library {domain!r}", "", domain)


def _attribute(data: memoryview, scan: Scan, own: set[str], depth: int) -> None:
    for field, value in _fields(data):
        if field in (6, 11):
            _graph(value, scan, own, depth + 1)
        elif field in (5, 10):
            _tensor(_message(value), scan)


def _tensor(data: memoryview, scan: Scan) -> None:
    location, is_external = "", False
    for field, value in _fields(data):
        if field == 14 and value == _EXTERNAL:
            is_external = True
        elif field == 13:
            entry = dict(_fields(_message(value)))
            if _text(entry.get(1, b"")) == "location":
                location = _text(entry.get(2, b""))
    if not is_external:
        return
    path = PurePosixPath(location)
    if path.is_absolute() or ".." in path.parts or "\\" in location or not location:
        scan.notes.add("outside", f"takes weights from outside: {location!r}", "", location)
    elif path.as_posix() not in scan.siblings:
        scan.notes.add("outside", f"takes weights from {location!r}, which is not beside it")


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield (number, integer or bytes) of a protobuf message."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        field, wire = key >> 3, key & 7
        if field == 0:
            raise Unreadable(f"byte {position} is no protobuf")
        if wire == 0:
            value, position = _varint(data, position)
            yield field, value
            continue
        if wire in (1, 5):
            length = 8 if wire == 1 else 4
        elif wire == 2:
            length, position = _varint(data, position)
        else:
            raise Unreadable(f"byte {position} is no protobuf")
        if position + length > end:
            raise Unreadable("ends too early", "truncated")
        yield field, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise Unreadable("ends too early", "truncated")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise Unreadable(f"byte {position} is no protobuf")


def _message(value: Any) -> memoryview:
    if isinstance(value, memoryview):
        return value
    raise Unreadable("a message is given as a number")


def _text(value: Any) -> str:
    if isinstance(value, memoryview | bytes):
        return bytes(value).decode("utf-8", "replace")
    raise Unreadable("a text is given as a number")


def is_protobuf(data: memoryview) -> bool:
    """Whether every byte belongs to a protobuf field; enough for a vocabulary, which is only data."""
    try:
        return sum(1 for _ in _fields(data)) > 0
    except Unreadable:
        return False
