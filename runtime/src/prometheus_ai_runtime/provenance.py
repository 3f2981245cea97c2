"""What a model file records about its making, read as bytes: nothing in the file is executed."""

import bz2
import gzip
import hashlib
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from prometheus_ai_runtime.detect import ModelFile

_CHUNK_BYTES = 1 << 20
_SCAN_BYTES_MAX = 1 << 30
"""How much of a (decompressed) pickle is searched for version marks."""
_OVERLAP_BYTES = 256
# A pickled string is SHORT_BINUNICODE (\x8c and one byte of length) or BINUNICODE (X and four);
# between key and value stands at most a memo mark (\x94, or q/r with an index).
_PICKLED_SKLEARN = re.compile(
    rb"_sklearn_version(?:\x94|q.|r.{4})?(?:\x8c(.)|X(.)\0\0\0)([ -~]{1,40})", re.DOTALL
)
_SKOPS_SKLEARN = re.compile(r'"_sklearn_version":\s*\{[^{}]*?"content":\s*"\\"([^"\\]+)\\""')
_XGBOOST_JSON = re.compile(rb'"version":\s*\[\s*(\d+),\s*(\d+),\s*(\d+)\s*\]')
# An array of three small integers: [#L, an eight-byte count, then a type byte before each.
_XGBOOST_UBJ = re.compile(rb"version\[#L\0{7}\x03[iU](.)[iU](.)[iU](.)", re.DOTALL)
_DECOMPRESSORS: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ", lzma.open),
    (b"]\x00\x00", lzma.open),
)


def recorded_versions(path: Path, file: ModelFile) -> dict[str, str]:
    """Give the library versions that the file says it was written with."""
    reader = _READERS.get(file.format)
    return {} if reader is None else reader(path)


def digest(path: Path) -> str:
    """SHA-256 of a file in hex.

    For a folder, of its listing as ``sha256sum`` prints it: files in byte order of their names.
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    listing = "".join(
        f"{digest(each)}  ./{each.relative_to(path).as_posix()}\n" for each in _files(path)
    )
    return hashlib.sha256(listing.encode()).hexdigest()


def size_bytes(path: Path) -> int:
    """Size of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in _files(path))


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file())


def _skops_versions(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        text = archive.read("schema.json").decode()
    versions = {}
    match = _SKOPS_SKLEARN.search(text)
    if match:
        versions["scikit-learn"] = match.group(1)
    schema = json.loads(text)
    if isinstance(schema, dict) and isinstance(schema.get("_skops_version"), str):
        versions["skops"] = schema["_skops_version"]
    return versions


def _pickle_versions(path: Path) -> dict[str, str]:
    try:
        for window in _windows(_chunks(path)):
            match = _PICKLED_SKLEARN.search(window)
            if match:
                length = (match.group(1) or match.group(2))[0]
                return {"scikit-learn": match.group(3)[:length].decode()}
    except (EOFError, OSError, zlib.error, lzma.LZMAError):
        return {}
    return {}


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        head = file.read(6)
    for magic, opener in _DECOMPRESSORS:
        if head.startswith(magic):
            with opener(path) as stream:
                yield from _read(stream)
            return
    with path.open("rb") as file:
        if not head.startswith(b"x"):
            yield from _read(file)
            return
        yield from _inflate(file)


def _inflate(file: BinaryIO) -> Iterator[bytes]:
    inflate = zlib.decompressobj()
    pending = b""
    for _ in range(_SCAN_BYTES_MAX // _CHUNK_BYTES):
        pending = pending or file.read(_CHUNK_BYTES)
        if not pending:
            return
        yield inflate.decompress(pending, _CHUNK_BYTES)
        pending = inflate.unconsumed_tail


def _read(stream: BinaryIO) -> Iterator[bytes]:
    for _ in range(_SCAN_BYTES_MAX // _CHUNK_BYTES):
        chunk = stream.read(_CHUNK_BYTES)
        if not chunk:
            return
        yield chunk


def _windows(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Join each chunk with the end of the one before, so that nothing is cut in two."""
    tail = b""
    for chunk in chunks:
        yield tail + chunk
        tail = chunk[-_OVERLAP_BYTES:]


def _onnx_versions(path: Path) -> dict[str, str]:
    """Read the top level of a ModelProto: 2 and 3 name the producer, 8 the operator sets."""
    versions = {}
    producer = version = ""
    for number, value in _protobuf_fields(path):
        if number == 2 and isinstance(value, bytes):
            producer = value.decode(errors="replace")
        elif number == 3 and isinstance(value, bytes):
            version = value.decode(errors="replace")
        elif number == 8 and isinstance(value, bytes):
            versions.update(_operator_set(value))
    if producer:
        versions[producer] = version
    return versions


def _operator_set(value: bytes) -> dict[str, str]:
    domain, _, rest = (b"", b"", value)
    if value[:1] == b"\n" and len(value) > 2:
        domain, rest = value[2 : 2 + value[1]], value[2 + value[1] :]
    if rest[:1] != b"\x10" or len(rest) < 2:
        return {}
    number = rest[1] if rest[1] < 128 else rest[1] - 128 + (rest[2] << 7 if len(rest) > 2 else 0)
    return {f"opset {domain.decode(errors='replace') or 'ai.onnx'}": str(number)}


def _protobuf_fields(path: Path) -> Iterator[tuple[int, bytes | int]]:
    """Yield the top-level fields of a protobuf file that are small; the others are skipped."""
    with path.open("rb") as file:
        while (key := _varint(file)) is not None:
            kind = key & 7
            if kind == 0:
                yield key >> 3, _varint(file) or 0
            elif kind == 2:
                length = _varint(file) or 0
                if length <= _OVERLAP_BYTES:
                    yield key >> 3, file.read(length)
                else:
                    file.seek(length, 1)
            else:
                return


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    return None


def _xgboost_versions(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 400))
        tail = file.read()
    match = _XGBOOST_JSON.search(tail)
    if match:
        return {"xgboost": ".".join(part.decode() for part in match.groups())}
    match = _XGBOOST_UBJ.search(tail)
    if match:
        return {"xgboost": ".".join(str(part[0]) for part in match.groups())}
    return {}


def _huggingface_versions(path: Path) -> dict[str, str]:
    version = json.loads((path / "config.json").read_bytes()).get("transformers_version")
    return {"transformers": version} if isinstance(version, str) else {}


_READERS: dict[str, Callable[[Path], dict[str, str]]] = {
    "skops": _skops_versions,
    "pickle": _pickle_versions,
    "pickle-compressed": _pickle_versions,
    "onnx": _onnx_versions,
    "xgboost-json": _xgboost_versions,
    "xgboost-ubj": _xgboost_versions,
    "huggingface": _huggingface_versions,
}
