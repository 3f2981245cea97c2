"""PyTorch's archives: a pickle that names storages, and the storages."""

import json
import re
from typing import Any

from prometheus_ai.adapters.scanners.model_files.formats.skops import read_all
from prometheus_ai.adapters.scanners.model_files.pickles import PickleWalk
from prometheus_ai.adapters.scanners.model_files.scan import Scan
from prometheus_ai.adapters.scanners.model_files.source import Source, Unreadable
from prometheus_ai.adapters.scanners.model_files.symbols import Name

KINDS = frozenset({"torch", "torchscript", "torch-export"})
PICKLED = frozenset({"torch"})
LEGACY_MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
NOTE_BYTES_MAX = 4096
SOURCE_BYTES_MAX = 64 * 2**20

_NOTES = frozenset(
    {"version", "byteorder", "serialization_id", ".format_version", ".storage_alignment",
     "archive_format", "archive_version", "write_record_calls"}
)  # fmt: skip
_SCRIPT_NAMES = ("__torch__.", "torch.jit._pickle.")
_OPERATORS = re.compile(rb"\bops\.(\w+)\.\w+")
_OWN_OPERATORS = frozenset({b"aten", b"prim", b"quantized", b"quantized_decomposed", b"inductor"})
_FILE_ACCESS = re.compile(rb"\btorch\.(from_file|save|load)\b|\baten::(from_file|save)\b")
_STORAGE_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "BFloat16Storage": 2,
    "ComplexDoubleStorage": 16, "ComplexFloatStorage": 8, "UntypedStorage": 1,
}  # fmt: skip


def describe(names: frozenset[str], _scan: Scan) -> str:
    """Return which of PyTorch's archives has these members, or nothing."""
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner:
        return "torchscript"
    if "data.pkl" in inner:
        return "torch"
    if "archive_format" in inner or "archive_format" in names:
        return "torch-export"
    return ""


class Archive:
    """Reads the members whose meaning depends on the archive."""

    def __init__(self, names: frozenset[str], scan: Scan) -> None:
        self._keys: set[str] = set()
        self._raw: set[str] = set()
        self._kind = describe(names, scan)

    def read(self, name: str, source: Source, scan: Scan) -> bool:
        """Read a member; return whether it was one of PyTorch's own."""
        inner = name.partition("/")[2]
        last = inner.rpartition("/")[2]
        if last.endswith((".pkl", ".debug_pkl")):
            self._pickle(source, scan)
        elif last in _NOTES:
            note = source.peek(NOTE_BYTES_MAX + 1)
            if len(note) > NOTE_BYTES_MAX:
                raise Unreadable("is longer than any note that PyTorch writes")
            source.read(len(note))
        elif inner.startswith(("data/", "constants/", ".data/", "tensors/")) and (
            inner.partition("/")[2] in self._keys
            or (f"constants/{last}" == inner and last.isdigit())
        ):
            source.rest()
        elif inner.startswith("code/") and last.endswith(".py"):
            _read_script(source, scan)
        elif self._kind == "torch-export" and last.endswith("_config.json"):
            self._payloads(source, scan, inner.rpartition("/")[0])
        elif self._kind == "torch-export" and inner in self._raw:
            source.rest()
        else:
            return False
        return True

    def _payloads(self, source: Source, scan: Scan, folder: str) -> None:
        """Learn which members are plain numbers."""
        try:
            config = json.loads(read_all(source, SOURCE_BYTES_MAX))["config"]
            for payload in config.values():
                if payload["use_pickle"]:
                    scan.notes.is_format("pickle", runs_code=True)
                else:
                    self._raw.add(f"{folder}/{payload['path_name']}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Unreadable(f"describes its tensors in no known way: {error}") from error

    def _pickle(self, source: Source, scan: Scan) -> None:
        allow = scan.allow
        if self._kind == "torchscript":
            allow = allow.with_prefixes(*_SCRIPT_NAMES)
        walk = PickleWalk(
            source,
            allow,
            scan.notes,
            scan.budget,
            persistent=lambda value: self._storage(value, scan),
        )
        walk.run()

    def _storage(self, value: Any, scan: Scan) -> None:
        key = storage_key(value)
        if key is None:
            scan.notes.unsafe("refers to something that is no tensor storage")
        else:
            self._keys.add(key)


def storage_key(value: Any) -> str | None:
    """Return the key of a persistent id that names a storage, None for any other."""
    if (
        isinstance(value, tuple)
        and len(value) >= 5
        and value[0] == "storage"
        and isinstance(value[1], Name)
        and isinstance(value[2], str)
    ):
        return value[2]
    return None


def _read_script(source: Source, scan: Scan) -> None:
    text = bytearray()
    while chunk := source.peek(1 << 16):
        text += source.read(len(chunk))
        if len(text) > SOURCE_BYTES_MAX:
            raise Unreadable("is longer than any TorchScript source", "bomb")
    for found in {match[1] for match in _OPERATORS.finditer(text)} - _OWN_OPERATORS:
        scan.notes.unsafe(f"uses operators of the native library {found.decode()!r}")
    if match := _FILE_ACCESS.search(text):
        scan.notes.unsafe(f"reads or writes files: {match[0].decode()}")


def read_legacy(source: Source, scan: Scan) -> None:
    """Read the format of PyTorch before 1.6: five pickles, then the storages."""
    scan.notes.is_format("torch", runs_code=True)
    sizes: dict[str, int] = {}

    def persistent(value: Any) -> None:
        key = storage_key(value)
        if key is None:
            scan.notes.unsafe("refers to something that is no tensor storage")
        else:
            sizes[key] = _STORAGE_BYTES.get(value[1].name, 0)

    for number in range(5):
        walk = PickleWalk(
            source, scan.allow, scan.notes, scan.budget,
            persistent=persistent if number == 3 else None,
        )  # fmt: skip
        walk.run()
    for key in sorted(sizes):
        size = sizes[key]
        if not size:
            raise Unreadable("holds a storage of a type that cannot be measured")
        source.skip(int.from_bytes(source.read(8), "little") * size)
