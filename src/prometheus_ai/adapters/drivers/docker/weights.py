"""Models that are mounted: one read-only volume each, filled once and shared by replicas."""

import contextlib
import hashlib
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

from prometheus_ai.adapters.docker_engine import DockerEngine
from prometheus_ai.adapters.drivers.docker.names import EMPTY_IMAGE
from prometheus_ai.domain.errors import Conflict, Corrupted, NotFound
from prometheus_ai.domain.image import (
    LABEL_HOME,
    LABEL_MODEL,
    MODEL_FOLDER,
    model_volume,
)
from prometheus_ai.domain.release import Artefact

CHUNK_BYTES = 1 << 20
FILLING = ".filling"


class ModelVolumes:
    """The models of an installation on one engine.

    A container that never runs holds each volume. It is renamed once the volume is whole, so its name is
    the proof: a control plane that dies half-way leaves a holder of another name, which the next one removes.
    """

    def __init__(self, engine: DockerEngine, home: str) -> None:
        self._engine = engine
        self._home = home
        self._lock = threading.Lock()

    def ensure(self, model: Artefact, path: Path) -> None:
        """Make sure that the engine has this model whole.

        Raises:
            Corrupted: the bytes that were sent are not those of the model.
            Unavailable: the engine cannot be reached, or its disk is full.
        """
        name = model_volume(self._home, model.digest)
        with self._lock:
            if self._engine.find(f"/containers/{name}/json") is not None:
                return
            self._remove(name + FILLING, name)
            self._hold(name, model)
            sent = _Tar(path, model.name)
            self._engine.put_archive(name + FILLING, MODEL_FOLDER, sent.chunks())
            if not model.is_tree and f"sha256:{sent.hex}" != model.digest:
                self._remove(name + FILLING, name)
                raise Corrupted(
                    f"model {path} is not what its digest says: {sent.hex}",
                    hint="deploy the release again",
                )
            with contextlib.suppress(Conflict):
                self._engine.post(f"/containers/{name}{FILLING}/rename", name=name)

    def keep_only(self, keep: frozenset[str]) -> None:
        """Remove the models whose digests are not in ``keep`` and that no replica uses."""
        filters = {"label": [f"{LABEL_HOME}={self._home}", LABEL_MODEL]}
        found = self._engine.get("/containers/json", all=True, filters=filters)
        for digest in {entry["Labels"][LABEL_MODEL] for entry in found} - keep:
            name = model_volume(self._home, digest)
            self._remove(name, name)

    def _hold(self, name: str, model: Artefact) -> None:
        if self._engine.find(f"/images/{EMPTY_IMAGE}/json") is None:
            self._engine.import_empty(EMPTY_IMAGE)
        labels = {LABEL_HOME: self._home, LABEL_MODEL: model.digest}
        self._engine.post("/volumes/create", {"Name": name, "Labels": labels})
        body = {
            "Image": EMPTY_IMAGE,
            "Cmd": ["never"],
            "Labels": labels,
            "HostConfig": {
                "Mounts": [{"Type": "volume", "Source": name, "Target": MODEL_FOLDER}],
                "NetworkMode": "none",
            },
        }
        self._engine.post("/containers/create", body, name=name + FILLING)

    def _remove(self, holder: str, volume: str) -> None:
        with contextlib.suppress(NotFound):
            self._engine.delete(f"/containers/{holder}", force=True)
        # In use by a replica, it stays; the next collection asks again.
        with contextlib.suppress(NotFound, Conflict):
            self._engine.delete(f"/volumes/{volume}")


class _Tar:
    """A model as a tar stream, hashed on its way."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._hash = hashlib.sha256()

    @property
    def hex(self) -> str:
        """The digest of a single file, once it was sent."""
        return self._hash.hexdigest()

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
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                self._hash.update(chunk)
                yield chunk
        yield bytes(-entry.size % tarfile.BLOCKSIZE)
