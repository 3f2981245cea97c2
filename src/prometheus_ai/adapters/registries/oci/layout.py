"""OCI layouts: images as files, read from every form in which they are saved."""

import contextlib
import gzip
import hashlib
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from prometheus_ai.adapters.registries.oci.media import (
    CONFIG_TYPE,
    DOCKER_MANIFEST_TYPE,
    INDEX_TYPE,
    INDEX_TYPES,
    LAYER_GZIP_TYPE,
    MANIFEST_TYPE,
    Manifest,
    read_manifest,
)
from prometheus_ai.domain.errors import Corrupted, InvalidInput

LAYOUT = {"imageLayoutVersion": "1.0.0"}
SMALL_BYTES_MAX = 16 * 2**20
CHUNK_BYTES = 1 << 20
COMPRESSION = 3
"""Half the time of zlib's own choice, for images about a twentieth larger."""
_BLOB = re.compile(r"(?:\./)?blobs/sha256/([0-9a-f]{64})")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ENGINE_FILE = "manifest.json"
"""What ``docker load`` looks for; old engines know no OCI layouts."""


class Layout:
    """One layout in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        self.listed: list[Manifest] = []
        self._image: Manifest | None = None

    @staticmethod
    @contextlib.contextmanager
    def temporary() -> Iterator["Layout"]:
        """Yield an empty layout that is removed afterwards."""
        with tempfile.TemporaryDirectory(prefix="pai-layout-") as folder:
            yield Layout(Path(folder))

    @property
    def image(self) -> Manifest:
        """The image that it holds.

        Raises:
            InvalidInput: it holds none.
        """
        if self._image is None:
            raise InvalidInput("there is no image in it")
        return self._image

    @property
    def has_image(self) -> bool:
        """Whether there is an image."""
        return self._image is not None

    def new_path(self, digest: str) -> Path:
        """Return where a blob lies.

        Raises:
            Corrupted: it is no digest.
        """
        if not _DIGEST.fullmatch(digest):
            raise Corrupted(f"{digest!r} is no digest")
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def open(self, digest: str) -> IO[bytes]:
        """Open a blob."""
        return self.new_path(digest).open("rb")

    def put(self, content: bytes) -> str:
        """Store small bytes; return their digest."""
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.new_path(digest).write_bytes(content)
        return digest

    def put_file(self, source: IO[bytes]) -> tuple[str, int]:
        """Store bytes of any size; return digest and size."""
        return self.put_chunks(iter(lambda: source.read(CHUNK_BYTES), b""))

    def put_chunks(self, chunks: Iterator[bytes]) -> tuple[str, int]:
        """Store bytes as they come; return digest and size."""
        seen, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
            for chunk in chunks:
                seen.update(chunk)
                size += len(chunk)
                file.write(chunk)
        digest = f"sha256:{seen.hexdigest()}"
        Path(file.name).rename(self.new_path(digest))
        return digest, size

    def add(self, manifest: Manifest, *, is_image: bool = False) -> None:
        """Store a manifest and list it."""
        self.put(manifest.content)
        if all(one.digest != manifest.digest for one in self.listed):
            self.listed.append(manifest)
        if is_image:
            self._image = manifest

    def referrers(self, digest: str) -> list[Manifest]:
        """Return the manifests that say something about another."""
        return [
            one for one in self.listed
            if (one.fields.get("subject") or {}).get("digest") == digest
        ]  # fmt: skip

    def write(self, target: Path, tag: str = "") -> None:
        """Write everything to one tar that every tool reads, ``docker load`` included; all of it or nothing."""
        described = [one.described() for one in self.listed]
        if self._image is not None and tag:
            for one in described:
                if one["digest"] == self._image.digest:
                    one["annotations"] = {"org.opencontainers.image.ref.name": tag}
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": described}
        (self.folder / "oci-layout").write_text(json.dumps(LAYOUT))
        (self.folder / "index.json").write_text(json.dumps(index))
        if self._image is not None:
            (self.folder / _ENGINE_FILE).write_text(self.engine_file(tag))
        aside = target.with_name(f".{target.name}.part")
        try:
            with aside.open("wb") as file:
                with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as packed:
                    for path in sorted(one for one in self.folder.rglob("*") if one.is_file()):
                        name = path.relative_to(self.folder).as_posix()
                        packed.add(path, arcname=name, filter=_plain)
                file.flush()
                os.fsync(file.fileno())
            aside.rename(target)
        finally:
            aside.unlink(missing_ok=True)

    def engine_file(self, tag: str = "") -> str:
        """Return what ``docker load`` reads."""
        image = self.image
        names = [_blob_name(digest) for digest, _ in image.blobs]
        held = {"Config": names[0], "RepoTags": [tag] if tag else None, "Layers": names[1:]}
        return json.dumps([held])


@contextlib.contextmanager
def open_layout(path: Path) -> Iterator[Layout]:
    """Open a saved image: an OCI layout (folder or tar, sealed bundles too) or the engine's own archive.

    Every blob is read once, and must be what its name says.

    Raises:
        InvalidInput: it is none of these.
        Corrupted: a blob is not what its name says, or one that is named is missing.
    """
    with Layout.temporary() as layout:
        try:
            if path.is_dir():
                _take_folder(layout, path)
            else:
                with tarfile.open(path) as packed:
                    _take_tar(layout, packed)
        except (tarfile.TarError, OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise InvalidInput(f"{path} is no image that can be read: {error}") from error
        yield layout


def _take_folder(layout: Layout, folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    for path in (folder / "blobs" / "sha256").iterdir():
        with path.open("rb") as source:
            _take_blob(layout, path.name, source)
    _take_index(layout, index)


def _take_tar(layout: Layout, packed: tarfile.TarFile) -> None:
    members = {one.name.removeprefix("./"): one for one in packed.getmembers() if one.isreg()}
    if "index.json" in members:
        for name, member in members.items():
            if found := _BLOB.fullmatch(name):
                _take_blob(layout, found[1], _file(packed, member))
        _take_index(layout, json.loads(_small(packed, members["index.json"])))
    elif _ENGINE_FILE in members:
        _take_archive(layout, packed, members)
    else:
        raise ValueError("it has neither index.json nor manifest.json")


def _take_blob(layout: Layout, name: str, source: IO[bytes]) -> None:
    digest, _ = layout.put_file(source)
    if digest != f"sha256:{name}":
        raise Corrupted(f"blob {name[:19]}… is not what its name says")


def _take_index(layout: Layout, index: dict[str, Any]) -> None:
    for described in index["manifests"]:
        manifest = _stored(layout, described)
        is_image = (
            manifest.media_type in (MANIFEST_TYPE, DOCKER_MANIFEST_TYPE)
            and "subject" not in manifest.fields
            and not manifest.fields.get("artifactType")
        )
        if manifest.media_type in INDEX_TYPES and len(manifest.children) == 1:
            manifest, is_image = _stored(layout, manifest.fields["manifests"][0]), True
        for digest, size in manifest.blobs:
            path = layout.new_path(digest)
            if not path.exists() or path.stat().st_size != size:
                raise Corrupted(f"{digest} is named and not there")
        layout.add(manifest, is_image=is_image and not layout.has_image)


def _stored(layout: Layout, described: dict[str, Any]) -> Manifest:
    path = layout.new_path(str(described["digest"]))
    if not path.exists() or path.stat().st_size > SMALL_BYTES_MAX:
        raise Corrupted(f"{described['digest']} is listed and not there")
    return read_manifest(path.read_bytes(), str(described.get("mediaType", "")))


def _take_archive(
    layout: Layout, packed: tarfile.TarFile, members: dict[str, tarfile.TarInfo]
) -> None:
    """Take what ``docker save`` writes: the layers are compressed, the configuration stays as it is."""
    listed = json.loads(_small(packed, members[_ENGINE_FILE]))[0]
    config = _small(packed, members[listed["Config"]])
    expected = PurePosixPath(listed["Config"]).name.removesuffix(".json")
    diffs = json.loads(config)["rootfs"]["diff_ids"]
    config_digest = layout.put(config)
    if config_digest.removeprefix("sha256:") != expected or len(diffs) != len(listed["Layers"]):
        raise Corrupted("the image's configuration is not what its name says")
    layers = []
    for name, diff in zip(listed["Layers"], diffs, strict=True):
        source, seen = _file(packed, members[name]), hashlib.sha256()
        digest, size = layout.put_chunks(_compressed(source, seen))
        if f"sha256:{seen.hexdigest()}" != diff:
            raise Corrupted(f"layer {name} is not what the configuration says")
        layers.append({"mediaType": LAYER_GZIP_TYPE, "digest": digest, "size": size})
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": config_digest, "size": len(config)},
        "layers": layers,
    }  # fmt: skip
    layout.add(read_manifest(json.dumps(manifest).encode(), MANIFEST_TYPE), is_image=True)


def _compressed(source: IO[bytes], seen: "hashlib._Hash") -> Iterator[bytes]:
    """Yield a layer compressed, equal bytes for equal layers."""
    with tempfile.TemporaryFile() as held:
        with gzip.GzipFile(fileobj=held, mode="wb", compresslevel=COMPRESSION, mtime=0) as packer:
            while chunk := source.read(CHUNK_BYTES):
                seen.update(chunk)
                packer.write(chunk)
        held.seek(0)
        while chunk := held.read(CHUNK_BYTES):
            yield chunk


def _blob_name(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime, member.mode = 0, 0o644
    return member


def _small(packed: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > SMALL_BYTES_MAX:
        raise ValueError(f"{member.name} is absurdly long")
    return _file(packed, member).read()


def _file(packed: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = packed.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} is no file")
    return file
