"""Models that are mounted: one read-only volume each, filled once and shared by replicas."""

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path

from prometheus_ai.adapters.docker_engine import DockerEngine
from prometheus_ai.adapters.drivers.docker.model_archive import ModelArchive, digest_of
from prometheus_ai.adapters.drivers.docker.names import EMPTY_IMAGE
from prometheus_ai.domain.errors import Conflict, Corrupted, NotFound
from prometheus_ai.domain.image import (
    LABEL_HOME,
    LABEL_MODEL,
    LABEL_REPLICA,
    MODEL_FOLDER,
    model_volume,
    pulled_volume,
)
from prometheus_ai.domain.release import Artefact

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
            self._fill(name, model, path, {LABEL_MODEL: model.digest})
            with contextlib.suppress(Conflict):
                self._engine.post(f"/containers/{name}{FILLING}/rename", name=name)

    def pull(self, replica_id: str, model: Artefact, path: Path) -> None:
        """Fetch a model for one start of one replica, and check what lies on the engine by its digest.

        Raises:
            Corrupted: what arrived is not the model.
            Unavailable: the engine cannot be reached, or its disk is full.
        """
        name = pulled_volume(self._home, replica_id)
        with self._lock:
            self._fill(name, model, path, {LABEL_REPLICA: replica_id})
            holder = name + FILLING
            place = f"{MODEL_FOLDER}/{model.name}"
            stored = self._engine.stream(f"/containers/{holder}/archive", path=place)
            arrived = digest_of(stored, model)
            if arrived != model.digest:
                self._remove(holder, name)
                raise Corrupted(
                    f"model {model.name} of {replica_id} arrived as {arrived}, not as {model.digest}",
                    hint="look at the engine's disk; the replica is tried again",
                )
            with contextlib.suppress(NotFound):
                self._engine.delete(f"/containers/{holder}", force=True)

    def drop(self, replica_id: str) -> None:
        """Remove what was pulled for a replica that is gone."""
        with contextlib.suppress(NotFound, Conflict):
            self._engine.delete(f"/volumes/{pulled_volume(self._home, replica_id)}")

    def keep_only(self, keep: frozenset[str]) -> None:
        """Remove the models whose digests are not in ``keep`` and that no replica uses."""
        filters = {"label": [f"{LABEL_HOME}={self._home}", LABEL_MODEL]}
        found = self._engine.get("/containers/json", all=True, filters=filters)
        for digest in {entry["Labels"][LABEL_MODEL] for entry in found} - keep:
            name = model_volume(self._home, digest)
            self._remove(name, name)
        # Pulled for replicas that are gone; those of others are in use, and stay.
        filters = {"label": [f"{LABEL_HOME}={self._home}", LABEL_REPLICA]}
        for volume in self._engine.get("/volumes", filters=filters).get("Volumes") or ():
            with contextlib.suppress(NotFound, Conflict):
                self._engine.delete(f"/volumes/{volume['Name']}")

    def _fill(self, name: str, model: Artefact, path: Path, labels: Mapping[str, str]) -> None:
        self._remove(name + FILLING, name)
        self._hold(name, {LABEL_HOME: self._home, **labels})
        sent = ModelArchive(path, model.name)
        self._engine.put_archive(name + FILLING, MODEL_FOLDER, sent.chunks())
        if sent.digest(model) != model.digest:
            self._remove(name + FILLING, name)
            raise Corrupted(
                f"model {path} is not what its digest says: {sent.digest(model)}",
                hint="deploy the release again",
            )

    def _hold(self, name: str, labels: Mapping[str, str]) -> None:
        if self._engine.find(f"/images/{EMPTY_IMAGE}/json") is None:
            self._engine.import_empty(EMPTY_IMAGE)
        self._engine.post("/volumes/create", {"Name": name, "Labels": labels})
        body = {
            "Image": EMPTY_IMAGE,
            "Cmd": ["never"],
            # A replica's label would make this container one.
            "Labels": {key: value for key, value in labels.items() if key != LABEL_REPLICA},
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
