"""NumPy arrays: joblib's frames inside pickles, and ``.npy`` streams."""

import ast
import re
from math import prod
from typing import Any

from prometheus_ai.adapters.scanners.model_files.pickles import PickleWalk
from prometheus_ai.adapters.scanners.model_files.scan import Scan
from prometheus_ai.adapters.scanners.model_files.source import Source, Unreadable
from prometheus_ai.adapters.scanners.model_files.symbols import Dict, Made

NPY_MAGIC = b"\x93NUMPY"
HEADER_BYTES_MAX = 1 << 16
FORK_BYTES = 1 << 16
_DTYPE = re.compile(r"^[<>|=]?([?biufcSaUVOmM])(\d{0,10})(\[\w+\])?$")
_FRAME = "joblib.numpy_pickle.NumpyArrayWrapper"
_HOLDS_REFERENCES = 1


def walk(source: Source, scan: Scan, persistent: Any = None) -> Any:
    """Walk one pickle with the arrays that joblib puts between its operations."""
    return _Joblib(source, scan, persistent).run()


class _Joblib:
    def __init__(self, source: Source, scan: Scan, persistent: Any) -> None:
        self._scan = scan
        self._walk = PickleWalk(
            source, scan.allow, scan.notes, scan.budget,
            on_build=self._on_build, persistent=persistent,
        )  # fmt: skip

    def run(self) -> Any:
        return self._walk.run()

    def _on_build(self, walk: PickleWalk, made: Made) -> None:
        if str(made.by) != _FRAME:
            return
        state = made.state
        if not isinstance(state, Dict):
            raise Unreadable("joblib's frame of an array has no description")
        shape, dtype = state.items.get("shape"), state.items.get("dtype")
        alignment = state.items.get("numpy_array_alignment_bytes")
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise Unreadable("joblib's frame of an array has no plain shape")
        size, is_object = _item(dtype)
        if is_object:
            inner = self._scan.inside("objects")
            _Joblib(walk.source, inner, None).run()
            return
        self._fork(walk)
        if alignment is not None:
            walk.source.skip(walk.source.byte())
        walk.source.skip(size * prod(shape))

    def _fork(self, walk: PickleWalk) -> None:
        """Read the array as operations too: that is what a loader does that does not know joblib's frames."""
        head = walk.source.peek(FORK_BYTES)
        notes = self._scan.notes.apart()
        try:
            walk.fork(Source(Bytes(head)), notes).run()
        except Unreadable as error:
            if error.kind == "truncated" and len(head) == FORK_BYTES:
                self._scan.notes.add("malformed", "an array's bytes are pickle operations too")
        for found in notes.findings:
            self._scan.notes.unsafe(f"hides in an array: {found.message}", "", found.name)


class Bytes:
    """Bytes in memory as something to read once."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, _size: int = -1, /) -> bytes:
        """Return everything once."""
        data, self._data = self._data, b""
        return data


def _item(dtype: Any) -> tuple[int, bool]:
    """Return an item's size and whether items are objects, from a pickled dtype."""
    if not isinstance(dtype, Made) or str(dtype.by) != "numpy.dtype":
        raise Unreadable("joblib's frame of an array has no dtype that can be read")
    arguments = dtype.arguments
    if not isinstance(arguments, tuple) or not arguments or not isinstance(arguments[0], str):
        raise Unreadable("a dtype in the pickle is not written as a text")
    size, is_object = item_size(arguments[0])
    state = dtype.state if isinstance(dtype.state, tuple) else ()
    if len(state) >= 8:
        stated, flags = state[5], state[7]
        if type(stated) is int and stated not in (-1, size):
            raise Unreadable("a dtype in the pickle contradicts itself")
        if type(flags) is int and arguments[0][:1] in "VSUa":
            # Structured: its flags say whether a field is an object.
            is_object = bool(flags & _HOLDS_REFERENCES)
        elif type(flags) is int and bool(flags & _HOLDS_REFERENCES) != is_object:
            raise Unreadable("a dtype in the pickle contradicts itself")
    return size, is_object


def item_size(text: str) -> tuple[int, bool]:
    """Return size and whether it is an object, of a dtype such as ``<f8`` or ``|O``.

    Raises:
        Unreadable: it is no dtype that can be measured.
    """
    match = _DTYPE.match(text)
    if match is None:
        raise Unreadable(f"{text[:40]!r} is no dtype that can be measured")
    kind, count = match[1], int(match[2] or 0)
    if kind == "O":
        return 8, True
    if kind == "?":
        return 1, False
    if kind in "mM":
        return 8, False
    return count * (4 if kind == "U" else 1), False


def read_npy(source: Source, scan: Scan) -> None:
    """Read one ``.npy`` stream to its end."""
    scan.notes.is_format("npy")
    head = source.read(8)
    if head[6] not in (1, 2, 3):
        raise Unreadable(f"npy version {head[6]} is unknown")
    length = int.from_bytes(source.read(2 if head[6] == 1 else 4), "little")
    if length > HEADER_BYTES_MAX:
        raise Unreadable("the header of the array is absurdly long", "bomb")
    try:
        header = ast.literal_eval(source.read(length).decode("utf-8").strip())
        shape, descr = tuple(header["shape"]), header["descr"]
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise Unreadable("the header of the array cannot be read") from error
    if not all(type(n) is int and n >= 0 for n in shape):
        raise Unreadable("the array has no plain shape")
    size, is_object = _described(descr)
    if is_object:
        scan.notes.is_format("pickle", runs_code=True)
        walk(source, scan)
    else:
        source.skip(size * prod(shape))


def _described(descr: Any, depth: int = 0) -> tuple[int, bool]:
    if isinstance(descr, str):
        return item_size(descr)
    if isinstance(descr, tuple) and len(descr) == 2 and depth < 8:
        size, is_object = _described(descr[0], depth + 1)
        if isinstance(descr[1], tuple) and all(type(n) is int and n >= 0 for n in descr[1]):
            return size * prod(descr[1]), is_object
    if isinstance(descr, list) and depth < 8:
        total, any_object = 0, False
        for field in descr:
            if not isinstance(field, tuple) or len(field) not in (2, 3):
                break
            inner = field[1] if len(field) == 2 else (field[1], field[2])
            size, is_object = _described(inner, depth + 1)
            total, any_object = total + size, any_object or is_object
        else:
            return total, any_object
    raise Unreadable("the array's dtype cannot be read")
