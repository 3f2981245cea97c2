"""The artefact store in a folder."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import rfc8785

from prometheus_ai.adapters.artefacts.filesystem.download import Downloads
from prometheus_ai.adapters.artefacts.filesystem.files import (
    CHUNK_BYTES,
    digest_of,
    disk_errors,
    hex_of,
    prefixed,
    sync_folder,
)
from prometheus_ai.domain.errors import Corrupted, InvalidInput, NotFound
from prometheus_ai.domain.release import Artefact

TREE_FORMAT = "pai-tree-1"
STALE_S = 86_400
FILES_PER_TREE_MAX = 100_000


class FilesystemArtefactStore:
    """Keeps ``files/`` and ``trees/`` by digest, and ``views/`` under the names that replicas see."""

    def __init__(self, root: Path, downloads: Downloads | None = None) -> None:
        self._root = root
        self._files = root / "files"
        self._trees = root / "trees"
        self._views = root / "views"
        self._incoming = root / "incoming"
        self._downloads = downloads or Downloads(root / "downloads")
        with disk_errors("making the artefact store", root):
            for folder in (self._files, self._trees, self._views, self._incoming):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sweep()

    def put_stream(self, chunks: Iterable[bytes], *, expected: str | None) -> str:
        """Store bytes under their digest.

        Raises:
            Corrupted: they are not what was ``expected``; nothing is kept.
            Unavailable: the disk is full or cannot be written; nothing is kept.
        """
        if expected is not None:
            hex_of(expected)
        sha256 = hashlib.sha256()
        with self._aside() as (fd, path):
            # Only writing is the disk's fault: an error of the stream itself passes unchanged.
            for chunk in chunks:
                sha256.update(chunk)
                with disk_errors("writing an artefact", self._root):
                    _write_all(fd, chunk)
            digest = prefixed(sha256.hexdigest())
            if expected is not None and digest != expected:
                raise Corrupted(
                    f"the bytes have digest {digest}, not {expected}",
                    hint="send them again; if it happens again, the expected digest is wrong",
                )
            with disk_errors("writing an artefact", self._root):
                os.fchmod(fd, 0o444)
                os.fsync(fd)
                self._place(path, self._file(digest))
        return digest

    def put_tree(self, files: dict[str, str]) -> str:
        """Store a manifest of relative path to digest.

        Raises:
            InvalidInput: a path leaves the tree or clashes with another, or a digest is not stored.
        """
        _check_tree(files)
        for name, part in files.items():
            if not self._file(part).exists():
                raise InvalidInput(f"{name}: {part} is not stored")
        manifest = rfc8785.dumps({"files": dict(files), "format": TREE_FORMAT})
        digest = prefixed(hashlib.sha256(manifest).hexdigest())
        with (
            disk_errors("writing an artefact", self._root),
            self._aside() as (fd, path),
        ):
            _write_all(fd, manifest)
            os.fchmod(fd, 0o444)
            os.fsync(fd)
            self._place(path, self._tree(digest))
        return digest

    def fetch(self, url: str, sha256: str) -> str:
        """Download a URL unless its bytes are stored; ``Downloads`` says what is raised."""
        digest = prefixed(sha256)
        if self.has(digest):
            return digest
        with self._downloads.turn(url, digest):
            # Whoever had the turn before may have brought it.
            if not self.has(digest):
                path = self._downloads.receive(url, digest)
                with disk_errors("keeping a download", self._root):
                    path.chmod(0o444)
                    self._place(path, self._file(digest))
        return digest

    def has(self, digest: str) -> bool:
        """Whether these bytes are stored."""
        return self._file(digest).exists() or self._tree(digest).exists()

    def size_bytes(self, digest: str) -> int:
        """Return the size of a file, or the sum over a tree's files.

        Raises:
            NotFound: it is not stored.
        """
        if self._tree(digest).exists():
            parts = self._manifest(digest).values()
            return sum(self._size(part) for part in parts)
        return self._size(digest)

    def open_path(self, artefact: Artefact) -> Path:
        """Hash the content again and return a read-only path that ends with the artefact's own name.

        Raises:
            NotFound: it, or a file of its tree, is not stored.
            Corrupted: the bytes on disk are not what was stored.
        """
        _check_name(artefact.name)
        view = self._views / hex_of(artefact.digest) / artefact.name
        files = {"": artefact.digest}
        if artefact.is_tree:
            files = self._manifest(artefact.digest)
        for digest in sorted(set(files.values())):
            self._verify(digest)
        with disk_errors("showing an artefact", self._views):
            if not self._is_exact(view, files):
                self._make_view(view, files)
        return view

    def read(self, digest: str) -> Iterator[bytes]:
        """Yield the bytes of a stored file, or of a tree's manifest.

        Raises:
            NotFound: it is not stored.
        """
        path = self._file(digest)
        if not path.exists():
            path = self._tree(digest)
        try:
            file = path.open("rb")
        except FileNotFoundError as error:
            raise _not_stored(digest) from error
        with file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def digests(self) -> Iterator[str]:
        """Yield every stored digest, trees included."""
        for folder in (self._files, self._trees):
            for shard in sorted(folder.iterdir()):
                for path in sorted(shard.iterdir()):
                    yield prefixed(path.name)

    def delete(self, digest: str) -> int:
        """Remove a digest with its views; return the bytes freed."""
        freed = 0
        for path in (self._file(digest), self._tree(digest)):
            with contextlib.suppress(FileNotFoundError):
                size = path.stat().st_size
                path.unlink()
                freed += size
        if freed:
            _remove_tree(self._views / hex_of(digest))
        return freed

    def _file(self, digest: str) -> Path:
        value = hex_of(digest)
        return self._files / value[:2] / value

    def _tree(self, digest: str) -> Path:
        value = hex_of(digest)
        return self._trees / value[:2] / value

    def _size(self, digest: str) -> int:
        try:
            return self._file(digest).stat().st_size
        except FileNotFoundError as error:
            raise _not_stored(digest) from error

    @contextlib.contextmanager
    def _aside(self) -> Iterator[tuple[int, Path]]:
        with disk_errors("writing an artefact", self._root):
            fd, name = tempfile.mkstemp(dir=self._incoming)
        try:
            yield fd, Path(name)
        finally:
            os.close(fd)
            Path(name).unlink(missing_ok=True)

    def _place(self, path: Path, target: Path) -> None:
        """Rename into place. Replacing equal bytes is harmless, and heals damaged ones."""
        if not target.parent.exists():
            target.parent.mkdir(exist_ok=True, mode=0o700)
            sync_folder(target.parent.parent)
        path.replace(target)
        sync_folder(target.parent)

    def _manifest(self, digest: str) -> dict[str, str]:
        path = self._tree(digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise _not_stored(digest) from error
        if prefixed(hashlib.sha256(content).hexdigest()) != digest:
            raise _changed(digest, path)
        files = json.loads(content)["files"]
        return {str(name): str(part) for name, part in files.items()}

    def _verify(self, digest: str) -> None:
        path = self._file(digest)
        try:
            found = digest_of(path)
        except FileNotFoundError as error:
            raise _not_stored(digest) from error
        if found != digest:
            raise _changed(digest, path)

    def _is_exact(self, view: Path, files: dict[str, str]) -> bool:
        """Whether the view shows exactly these stored files: the verified ones, and none beside them."""
        try:
            found = {"": view}
            if "" not in files:
                inside = (path for path in view.rglob("*") if not path.is_dir())
                found = {path.relative_to(view).as_posix(): path for path in inside}
            if found.keys() != files.keys():
                return False
            return all(
                os.path.samestat(path.lstat(), self._file(files[name]).stat())
                for name, path in found.items()
            )
        except OSError:
            return False

    def _make_view(self, view: Path, files: dict[str, str]) -> None:
        view.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = Path(tempfile.mkdtemp(dir=self._incoming))
        made = aside / "view"
        try:
            for name, digest in files.items():
                path = made / name if name else made
                path.parent.mkdir(parents=True, exist_ok=True)
                os.link(self._file(digest), path)
            if view.is_dir():
                _remove_tree(view)
            with contextlib.suppress(OSError):
                made.replace(view)
            if not self._is_exact(view, files):
                raise Corrupted(f"the view {view} is being changed by someone else")
        finally:
            _remove_tree(aside)

    def _sweep(self) -> None:
        """Remove what a crash left half-written, once nobody can still be writing it."""
        for path in self._incoming.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > STALE_S:
                    _remove_tree(path) if path.is_dir() else path.unlink()


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _check_tree(files: dict[str, str]) -> None:
    if not files:
        raise InvalidInput("the folder has no files")
    if len(files) > FILES_PER_TREE_MAX:
        raise InvalidInput(f"the folder has {len(files)} files; at most {FILES_PER_TREE_MAX} fit")
    folders: set[str] = set()
    for name in files:
        path = PurePosixPath(name)
        is_plain = path.as_posix() == name and not path.is_absolute() and ".." not in path.parts
        if not is_plain or not path.parts or "\0" in name:
            raise InvalidInput(f"{name!r} is not a plain path inside a folder")
        folders.update(parent.as_posix() for parent in path.parents)
    for name in files:
        if name in folders:
            raise InvalidInput(f"{name!r} is both a file and a folder")


def _check_name(name: str) -> None:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise InvalidInput(f"{name!r} cannot be the name of an artefact")


def _remove_tree(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _not_stored(digest: str) -> NotFound:
    return NotFound(f"artefact {digest} is not stored", hint="deploy the release again")


def _changed(digest: str, path: Path) -> Corrupted:
    return Corrupted(
        f"artefact {digest} changed on disk: {path}",
        hint="check the disk; deploying the same model again replaces the damaged copy",
    )
