"""Layers of a saved image, each as a tar file that can be read more than once."""

import contextlib
import gzip
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from backports import zstd

from prometheus_ai.domain.errors import InvalidInput

CONFIG_BYTES_MAX = 16 * 2**20
EXPANDED_BYTES_MAX = 64 * 2**30
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_UNREADABLE = (
    tarfile.TarError, OSError, ValueError, KeyError, EOFError, zlib.error, zstd.ZstdError,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer."""

    digest: str
    tar: tarfile.TarFile


@dataclass(kw_only=True)
class SavedImage:
    """An opened image; close the stack when done."""

    digest: str
    layers: list[Layer]
    config: dict[str, Any] = field(default_factory=dict)


def open_image(path: Path, stack: contextlib.ExitStack) -> SavedImage:
    """Open a saved image in any of its forms.

    Raises:
        InvalidInput: it is none.
    """
    try:
        if path.is_dir():
            return _open_folder(path, stack)
        outer = _open_outer(path, stack)
        names = {member.name.removeprefix("./"): member for member in outer.getmembers()}
        if "manifest.json" in names:
            return _open_archive(outer, names, stack)
        if "index.json" in names:
            return _open_layout(_TarBlobs(outer, names), stack)
        outer_digest = _digest_of(path)
        return SavedImage(digest=outer_digest, layers=[Layer(digest=outer_digest, tar=outer)])
    except _UNREADABLE as error:
        raise InvalidInput(f"{path} is no image that can be read: {error}") from error


def _open_outer(path: Path, stack: contextlib.ExitStack) -> tarfile.TarFile:
    file = stack.enter_context(path.open("rb"))
    if file.read(4) == _ZSTD:
        file.seek(0)
        return _open_layer(file, stack)
    return stack.enter_context(tarfile.open(path))


def _open_folder(path: Path, stack: contextlib.ExitStack) -> SavedImage:
    if (path / "index.json").exists() and (path / "blobs").is_dir():
        return _open_layout(_FolderBlobs(path), stack)
    # A root file system: packed once, so that all that follows reads one form.
    copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    with tarfile.open(fileobj=copy, mode="w") as packed:
        packed.add(path, arcname=".")
    copy.seek(0)
    tar = stack.enter_context(tarfile.open(fileobj=copy))  # noqa: SIM115
    return SavedImage(digest="", layers=[Layer(digest="", tar=tar)])


def _open_archive(
    outer: tarfile.TarFile, names: dict[str, tarfile.TarInfo], stack: contextlib.ExitStack
) -> SavedImage:
    manifest = json.loads(_small(outer, names["manifest.json"]))[0]
    config = json.loads(_small(outer, names[manifest["Config"]]))
    digests = config.get("rootfs", {}).get("diff_ids", [])
    layers = []
    for index, name in enumerate(manifest["Layers"]):
        file = outer.extractfile(names[name])
        if file is None:
            raise ValueError(f"layer {name} is no file")
        digest = digests[index] if index < len(digests) else name
        layers.append(Layer(digest=digest, tar=_open_layer(file, stack)))
    name = PurePosixPath(manifest["Config"]).name.removesuffix(".json")
    return SavedImage(digest=f"sha256:{name}", layers=layers, config=config)


def _open_layout(blobs: "_TarBlobs | _FolderBlobs", stack: contextlib.ExitStack) -> SavedImage:
    index = json.loads(blobs.small("index.json"))
    found = index["manifests"][0]
    for _ in range(3):
        manifest = json.loads(blobs.small(_blob(found["digest"])))
        if "manifests" not in manifest:
            break
        found = manifest["manifests"][0]
    config = json.loads(blobs.small(_blob(manifest["config"]["digest"])))
    layers = [
        Layer(digest=one["digest"], tar=_open_layer(blobs.open(_blob(one["digest"]), stack), stack))
        for one in manifest["layers"]
    ]
    return SavedImage(digest=found["digest"], layers=layers, config=config)


def _open_layer(file: IO[bytes], stack: contextlib.ExitStack) -> tarfile.TarFile:
    head = file.read(4)
    file.seek(0)
    if head == _ZSTD:
        file = _expanded(zstd.ZstdFile(file), stack)
    elif head[:2] == _GZIP:
        file = _expanded(gzip.GzipFile(fileobj=file), stack)
    return stack.enter_context(tarfile.open(fileobj=file, mode="r:"))


def _expanded(packed: io.BufferedIOBase, stack: contextlib.ExitStack) -> IO[bytes]:
    """Return the content as a file of its own, in which one can go back."""
    copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    with packed:
        size = 0
        while chunk := packed.read(1 << 20):
            size += len(chunk)
            if size > EXPANDED_BYTES_MAX:
                raise ValueError(f"a layer expands beyond {EXPANDED_BYTES_MAX} bytes")
            copy.write(chunk)
    copy.seek(0)
    return copy


class _FolderBlobs:
    def __init__(self, root: Path) -> None:
        self._root = root

    def small(self, name: str) -> bytes:
        with (self._root / name).open("rb") as file:
            return _bounded(file)

    def open(self, name: str, stack: contextlib.ExitStack) -> IO[bytes]:
        return stack.enter_context((self._root / name).open("rb"))


class _TarBlobs:
    def __init__(self, outer: tarfile.TarFile, names: dict[str, tarfile.TarInfo]) -> None:
        self._outer, self._names = outer, names

    def small(self, name: str) -> bytes:
        return _small(self._outer, self._names[name])

    def open(self, name: str, _stack: contextlib.ExitStack) -> IO[bytes]:
        return self._outer.extractfile(self._names[name]) or io.BytesIO()


def _small(outer: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = outer.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is no file")
    return _bounded(file)


def _bounded(file: IO[bytes]) -> bytes:
    data = file.read(CONFIG_BYTES_MAX + 1)
    if len(data) > CONFIG_BYTES_MAX:
        raise ValueError("a description of the image is absurdly long")
    return data


def _blob(digest: str) -> str:
    kind, _, value = digest.partition(":")
    if kind != "sha256" or len(value) != 64 or not value.isalnum():
        raise ValueError(f"{digest!r} is no digest")
    return f"blobs/sha256/{value}"


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def copy_out(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy a member into a file of its own."""
    shutil.copyfileobj(source, target, 1 << 20)


def files_of(layer: Layer) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Yield every member of a layer by its path without a leading dot or slash."""
    for member in layer.tar:
        yield member.name.removeprefix("./").lstrip("/"), member
