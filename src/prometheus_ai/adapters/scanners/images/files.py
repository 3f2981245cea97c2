"""Every file of a saved image, and the same image without some of them."""

import contextlib
import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from prometheus_ai.adapters.scanners.images.layers import Layer, SavedImage, open_image
from prometheus_ai.adapters.scanners.images.packages import is_database
from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.domain.image_contents import ImageContents, StoredFile, StoredLayer

FILES_MAX = 2_000_000
DATABASE_BYTES_MAX = 64 * 2**20
CHUNK_BYTES = 1 << 20
DIGEST_BYTES = 12
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


class LayeredImageFiles:
    """Implements the ImageFiles port for archives, layouts and root file systems."""

    def read(self, path: Path) -> ImageContents:
        """List the files of a saved image."""
        with contextlib.ExitStack() as stack:
            image = open_image(path, stack)
            databases: dict[str, str] = {}
            history = _history(image.config)
            made = [words for words, makes_layer in history if makes_layer]
            made = made[-len(image.layers) :]
            made = [""] * (len(image.layers) - len(made)) + made
            layers, count = [], 0
            for layer, made_by in zip(image.layers, made, strict=True):
                files = tuple(_files(layer, databases, FILES_MAX - count))
                count += len(files)
                layers.append(StoredLayer(digest=layer.digest, made_by=made_by, files=files))
            settings = image.config.get("config") or {}
            return ImageContents(
                image=image.digest,
                layers=tuple(layers),
                databases=databases,
                history=history,
                user=str(settings.get("User", "")),
                has_healthcheck=_has_healthcheck(settings),
                entrypoint=tuple(settings.get("Entrypoint") or settings.get("Cmd") or ()),
                environment=tuple(settings.get("Env") or ()),
                labels=settings.get("Labels") or {},
                is_whole=bool(image.config),
            )

    def write(self, path: Path, target: Path, dropped: Sequence[frozenset[str]], tag: str) -> None:
        """Write the image again as an archive that every engine loads."""
        with contextlib.ExitStack() as stack:
            image = open_image(path, stack)
            if not image.config:
                raise InvalidInput(f"{path} is a root file system, no image that could be run")
            try:
                with tarfile.open(target, "w") as outer:
                    _write(image, outer, dropped, tag)
            except OSError as error:
                raise Unavailable(f"{target} cannot be written: {error}") from error


def _files(layer: Layer, databases: dict[str, str], most: int) -> Iterator[StoredFile]:
    for number, member in enumerate(_members(layer.tar)):
        if number >= most:
            raise InvalidInput(f"the image has more than {FILES_MAX} files")
        path = _path(member)
        folder, _, name = path.rpartition("/")
        if name.startswith(_WHITEOUT):
            yield _whiteout(folder, name)
            _forget(databases, folder, name)
        elif member.isreg():
            file = layer.tar.extractfile(member)
            assert file is not None
            keeps = is_database(path) and member.size <= DATABASE_BYTES_MAX
            digest, text = _read(file, keeps_text=keeps)
            if keeps:
                databases[path] = text
            yield StoredFile(path=path, size_bytes=member.size, digest=digest)
        elif not member.isdir():
            yield StoredFile(path=path, kind="link")


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield members without keeping those that were seen."""
    if tar.firstmember is None:  # type: ignore[attr-defined]  # it was listed before
        yield from tar.getmembers()
        return
    while (member := tar.next()) is not None:
        yield member
        tar.members.clear()  # type: ignore[attr-defined]  # the list by which tarfile would grow without bound


def _read(file: IO[bytes], *, keeps_text: bool) -> tuple[bytes, str]:
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    kept = io.BytesIO()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        if keeps_text:
            kept.write(chunk)
    return digest.digest(), kept.getvalue().decode("utf-8", "replace")


def _whiteout(folder: str, name: str) -> StoredFile:
    if name == _OPAQUE:
        return StoredFile(path=folder, kind="opaque")
    gone = name.removeprefix(_WHITEOUT)
    return StoredFile(path=f"{folder}/{gone}" if folder else gone, kind="removed")


def _forget(databases: dict[str, str], folder: str, name: str) -> None:
    gone = f"{folder}/" if name == _OPAQUE else f"{folder}/{name.removeprefix(_WHITEOUT)}"
    gone = gone.lstrip("/")
    for path in [one for one in databases if f"{one}/".startswith(f"{gone.rstrip('/')}/")]:
        del databases[path]


def _path(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./").lstrip("/")


def _history(config: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
    return tuple(
        (str(step.get("created_by", "")), not step.get("empty_layer"))
        for step in config.get("history") or ()
    )


def _has_healthcheck(settings: Mapping[str, Any]) -> bool:
    test = (settings.get("Healthcheck") or {}).get("Test") or []
    return bool(test) and test != ["NONE"]


def _write(
    image: SavedImage, outer: tarfile.TarFile, dropped: Sequence[frozenset[str]], tag: str
) -> None:
    names, digests = [], []
    for number, (layer, gone) in enumerate(zip(image.layers, dropped, strict=True)):
        with tempfile.TemporaryFile(prefix="pai-layer-") as spool:
            _trim(layer, gone, spool)
            size = spool.tell()
            spool.seek(0)
            digests.append("sha256:" + hashlib.file_digest(spool, "sha256").hexdigest())
            spool.seek(0)
            names.append(f"{number}/layer.tar")
            _add(outer, names[-1], size, spool)
    config = {**image.config, "rootfs": {"type": "layers", "diff_ids": digests}}
    text = json.dumps(config, sort_keys=True).encode()
    config_name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [tag], "Layers": names}]
    for name, data in ((config_name, text), ("manifest.json", json.dumps(manifest).encode())):
        _add(outer, name, len(data), io.BytesIO(data))


def _add(outer: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    outer.addfile(entry, content)


def _trim(layer: Layer, gone: frozenset[str], spool: IO[bytes]) -> None:
    """Copy a layer without some paths; a hard link whose first name goes becomes the file itself."""
    moved: dict[str, str] = {}
    with tarfile.open(fileobj=spool, mode="w", format=tarfile.PAX_FORMAT) as kept:
        for member in layer.tar.getmembers():
            if not member.isdir() and _path(member) in gone:
                continue
            target = member.linkname.removeprefix("./").lstrip("/")
            if member.islnk() and target in gone:
                if target in moved:
                    member.linkname = moved[target]
                    kept.addfile(member)
                    continue
                moved[target] = member.name
                original = layer.tar.getmember(member.linkname)
                member.type, member.size = tarfile.REGTYPE, original.size
                kept.addfile(member, layer.tar.extractfile(original))
            else:
                kept.addfile(member, layer.tar.extractfile(member) if member.isreg() else None)
