"""A model file or folder to a ``ModelScan``."""

import mmap
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from prometheus_ai import __version__
from prometheus_ai.adapters.scanners.model_files import arrays
from prometheus_ai.adapters.scanners.model_files.allowed import AllowList
from prometheus_ai.adapters.scanners.model_files.expanding import Expanded, decompressor_of
from prometheus_ai.adapters.scanners.model_files.formats import (
    archives,
    gguf,
    keras,
    onnx,
    safetensors,
    texts,
    torch,
)
from prometheus_ai.adapters.scanners.model_files.notes import Notes
from prometheus_ai.adapters.scanners.model_files.pickles import PickleWalk
from prometheus_ai.adapters.scanners.model_files.scan import Scan
from prometheus_ai.adapters.scanners.model_files.source import Budget, Source, Unreadable
from prometheus_ai.domain.gate import ModelScan

RULES = 1
"""Raised with every change of what is found, so that an older clean answer is not taken for this one."""
PICKLE_ENDINGS = (".pkl", ".pickle", ".joblib", ".sav", ".pt", ".pth", ".ckpt", ".bin", ".dill")
VOCABULARIES = frozenset({"tokenizer.model", "spiece.model", "sentencepiece.bpe.model"})
_FORK_BYTES = 1 << 16
_FORK_BYTES_MAX = 1 << 26
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_MARKS = {
    ".zip": _ZIP, ".npz": _ZIP, ".keras": _ZIP, ".pt2": _ZIP, ".skops": _ZIP, ".npy": b"\x93NUMPY",
    ".gguf": b"GGUF", ".h5": _HDF5, ".hdf5": _HDF5, ".onnx": b"\x08",
}  # fmt: skip
_IDENTIFIER = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")
_ONNX_VERSIONS = range(1, 32)


class ModelFileScanner:
    """Looks into model files of every format that an engine loads, and into what pretends to be one."""

    def __init__(self, budget: dict[str, int] | None = None) -> None:
        self._bounds = budget or {}

    @property
    def name(self) -> str:
        """Name and version of the rules."""
        return f"prometheus-ai {__version__} rules {RULES}"

    def scan(self, path: Path, digest: str, allow: Iterable[str] = ()) -> ModelScan:
        """Look into a file or folder; ``allow`` are callables allowed beyond the scanner's own."""
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if not p.is_dir())
        notes, names = Notes(""), AllowList(allow)
        total = read = 0
        for file in files:
            name = file.name if file == path else file.relative_to(path).as_posix()
            siblings = frozenset(
                other.relative_to(file.parent).as_posix()
                for other in files
                if other != file and other.is_relative_to(file.parent)
            )
            scan = Scan(names, Budget(**self._bounds), notes.inside(name), look, siblings)
            size = file.lstat().st_size
            total += size
            read += _scan_file(file, size, scan)
        if not files:
            notes.add("unrecognised", "there is no file")
        return ModelScan(
            digest=digest, formats=notes.formats, runs_code=notes.runs_code,
            is_source=notes.is_source, findings=notes.findings, files=len(files),
            bytes_total=total, bytes_read=read, scanner=self.name,
        )  # fmt: skip


def _scan_file(path: Path, size: int, scan: Scan) -> int:
    """Return how many bytes were understood; what was not is noted."""
    if path.is_symlink() or not path.is_file():
        scan.notes.add("outside", "is no plain file")
        return 0
    try:
        with path.open("rb") as file:
            read = _read_file(file, size, scan, PurePosixPath(path.name))
    except Unreadable as error:
        scan.notes.fault(error)
        return 0
    except RecursionError:
        scan.notes.add("bomb", "is nested too deeply")
        return 0
    except OSError as error:
        scan.notes.add("malformed", f"cannot be read: {error.strerror}")
        return 0
    if read < size:
        scan.notes.add("trailing", f"{size - read} bytes follow its end")
    return read


def _read_file(file: IO[bytes], size: int, scan: Scan, name: PurePosixPath) -> int:
    head = file.read(16)
    file.seek(0)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        archives.read_zip(file, size, scan)
        return size
    is_onnx = name.suffix == ".onnx" or _seems_onnx(head)
    if size and (is_onnx or name.name in VOCABULARIES):
        # Never closed by hand: errors on their way up may still hold parts of it.
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        if is_onnx:
            onnx.read_onnx(view, scan)
        elif onnx.is_protobuf(view):
            scan.notes.is_format("vocabulary")
        else:
            raise Unreadable("is no vocabulary", "unrecognised")
        return size
    if name.suffix in _MARKS and not head.startswith(_MARKS[name.suffix]):
        raise Unreadable("is not what its name says", "unrecognised")
    source = Source(file)
    look(source, scan, name.name)
    return source.position


def _seems_onnx(head: bytes) -> bool:
    return (
        len(head) > 3
        and head[0] == 0x08
        and head[1] in _ONNX_VERSIONS
        and head[2] in b"\x12\x3a\x42"
    )


def look(source: Source, scan: Scan, name: str) -> None:
    """Read a stream of any format to the end of its content.

    Raises:
        Unreadable: it is of no known format, or not what its format says.
    """
    head = source.peek(16)
    if not head:
        if name.endswith((*PICKLE_ENDINGS, ".safetensors")) and not scan.depth:
            raise Unreadable("is empty", "truncated")
        scan.notes.is_format("empty")
        return
    make = decompressor_of(head)
    if make is not None:
        scan.notes.is_format("compressed")
        inner = Source(Expanded(source, make, scan.budget))
        look(inner, scan.inside("expanded"), name)
        if left := inner.rest():
            scan.notes.add("trailing", f"{left} bytes follow its end")
    elif head.startswith(arrays.NPY_MAGIC):
        arrays.read_npy(source, scan)
    elif head.startswith(_HDF5):
        keras.read_hdf5(source, scan)
    elif head.startswith(gguf.MAGIC):
        gguf.read_gguf(source, scan)
    elif head.startswith(b"PK\x03\x04"):
        archives.read_nested(source, scan)
    elif head.startswith(torch.LEGACY_MAGIC):
        torch.read_legacy(source, scan)
    elif name.endswith(".safetensors") or (
        safetensors.is_safetensors(head) and not name.endswith(PICKLE_ENDINGS)
    ):
        safetensors.read_safetensors(source, scan)
    elif (head[0] == 0x80 and len(head) > 1 and head[1] <= 5) or name.endswith(PICKLE_ENDINGS):
        scan.notes.is_format("pickle", runs_code=True)
        arrays.walk(source, scan)
    else:
        _look_at_text(source, scan, name, head)


def _look_at_text(source: Source, scan: Scan, name: str, head: bytes) -> None:
    if _is_old_pickle(source, scan):
        scan.notes.is_format("pickle", runs_code=True)
        arrays.walk(source, scan)
    elif texts.is_ubjson(head):
        texts.read_ubjson(source, scan)
    elif head.lstrip()[:1] in (b"{", b"[") and not name.endswith((".py", ".txt", ".md", ".jinja")):
        texts.read_json(source, scan, name)
    else:
        texts.read_text(source, scan, name)


def _is_old_pickle(source: Source, scan: Scan) -> bool:
    """Whether a text is a pickle of protocol 0 or 1: those begin with no mark of their own."""
    for most in (_FORK_BYTES, _FORK_BYTES_MAX):
        data = source.peek(most)
        found = _walks(data, most, scan)
        if found is not None:
            return found
    return True


def _walks(data: bytes, most: int, scan: Scan) -> bool | None:
    """Whether bytes are a pickle, or None when there are too few of them to say."""
    notes = scan.notes.apart()
    walk = PickleWalk(Source(arrays.Bytes(data)), scan.allow, notes, Budget())
    try:
        walk.run()
    except Unreadable as error:
        if any(_IDENTIFIER.match(found.name) for found in notes.findings):
            return True
        return None if error.kind == "truncated" and len(data) == most else False
    return True
