"""Models as tar streams, on their way to an engine and back, with their digests."""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import rfc8785

from prometheus_ai.domain.release import Artefact

CHUNK_BYTES = 1 << 20
TREE_FORMAT = "pai-tree-1"


class ModelArchive:
    """A model as a tar stream, hashed on its way."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._files: dict[str, str] = {}

    def digest(self, model: Artefact) -> str:
        """Return the digest of what was sent, once all of it was."""
        return _digest(self._files, model)

    def chunks(self) -> Iterator[bytes]:
        """Yield the archive: files of root, readable by everyone."""
        if self._path.is_dir():
            for path in sorted(self._path.rglob("*")):
                inside = f"{self._name}/{path.relative_to(self._path).as_posix()}"
                yield from self._entry(path, inside)
        else:
            yield from self._entry(self._path, self._name)
        yield bytes(2 * tarfile.BLOCKSIZE)

    def _entry(self, path: Path, name: str) -> Iterator[bytes]:
        entry = tarfile.TarInfo(name)
        if path.is_dir():
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            yield entry.tobuf(tarfile.PAX_FORMAT)
            return
        entry.size, entry.mode = path.stat().st_size, 0o444
        yield entry.tobuf(tarfile.PAX_FORMAT)
        hashed = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                hashed.update(chunk)
                yield chunk
        self._files[name] = hashed.hexdigest()
        yield bytes(-entry.size % tarfile.BLOCKSIZE)


def digest_of(chunks: Iterator[bytes], model: Artefact) -> str:
    """Return the digest of a model in an engine's archive; it is read once and never stored."""
    found = {}
    with tarfile.open(fileobj=_Chunks(chunks), mode="r|") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            if file is not None:
                hashed = hashlib.sha256()
                while chunk := file.read(CHUNK_BYTES):
                    hashed.update(chunk)
                found[member.name] = hashed.hexdigest()
    return _digest(found, model)


def _digest(files: Mapping[str, str], model: Artefact) -> str:
    """Return a single file's digest, or that of the manifest by which a tree is stored."""
    if not model.is_tree:
        return f"sha256:{files.get(model.name, '')}"
    inside = {
        name.removeprefix(f"{model.name}/"): f"sha256:{value}" for name, value in files.items()
    }
    manifest = rfc8785.dumps({"files": inside, "format": TREE_FORMAT})
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


class _Chunks(io.RawIOBase):
    """Chunks as a file that is read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes; fewer only at the end."""
        held = bytearray(self._rest)
        while size < 0 or len(held) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            held += chunk
        cut = len(held) if size < 0 else size
        self._rest = bytes(held[cut:])
        return bytes(held[:cut])
