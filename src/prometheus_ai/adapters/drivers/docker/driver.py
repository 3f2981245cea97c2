"""The driver of a Docker target."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prometheus_ai.adapters.docker_engine import DockerEngine
from prometheus_ai.adapters.drivers.docker.logs import KeptLogs, engine_lines
from prometheus_ai.adapters.drivers.docker.machine import EngineFacts, facts_of, too_large
from prometheus_ai.adapters.drivers.docker.names import (
    STOPPING,
    container_name,
    network_name,
    own_filter,
)
from prometheus_ai.adapters.drivers.docker.orders import Place, container_of
from prometheus_ai.adapters.drivers.docker.usage import usage_from
from prometheus_ai.adapters.drivers.docker.view import EngineView
from prometheus_ai.adapters.drivers.docker.watcher import Watcher
from prometheus_ai.adapters.drivers.docker.weights import ModelVolumes
from prometheus_ai.domain.errors import Conflict, NotFound, PlatformError, Unavailable
from prometheus_ai.domain.image import (
    LABEL_HOME,
    LABEL_LOCK,
    LABEL_MODEL,
    LABEL_RELEASE,
    LABEL_WEIGHTS,
)
from prometheus_ai.domain.release import Release
from prometheus_ai.domain.replica import Observed, ReplicaUsage
from prometheus_ai.domain.secret import Secret
from prometheus_ai.domain.spec import Spec
from prometheus_ai.ports.driver import Capabilities, LogLine, Progress, ReplicaOrder
from prometheus_ai.ports.image_builder import ReleaseImages

FIRST_LOOK_TIMEOUT_S = 2.5
LOG_FILES = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class DockerOptions:
    """How one Docker target is used."""

    target: str
    home: str
    """The installation's short id; several may share an engine."""
    address: str = ""
    """Where published ports are reached; empty on this machine, where containers are reached themselves."""
    gpus: int | None = None
    """GPUs that may be given to replicas; counted when None and the engine is on this machine."""
    allows_egress: bool = False
    """Whether replicas may open connections to the outside."""
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(default_factory=dict)
    log_bytes_max: int = 8 * 2**20
    ended_logs_max: int = 200


class DockerDriver:
    """Runs replicas as containers; implements the Driver port.

    ``on_change`` is called, from the driver's own thread, whenever a replica changed phase.
    """

    def __init__(
        self,
        engine: DockerEngine,
        images: ReleaseImages,
        logs: Path,
        options: DockerOptions,
        *,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self._engine = engine
        self._images = images
        self._options = options
        self._address = options.address or _address_of(engine)
        self._volumes = ModelVolumes(engine, options.home)
        self._kept = KeptLogs(
            logs, bytes_max=options.log_bytes_max, files_max=options.ended_logs_max
        )
        self._lock = threading.RLock()
        self._facts: EngineFacts | None = None
        self._view = EngineView(engine, options.home, self._address)
        self._watcher = Watcher(self._view, on_change or (lambda: None))
        self._watcher.wait_for_first_look(FIRST_LOOK_TIMEOUT_S)

    def capabilities(self) -> Capabilities:
        """Say what the engine's machine can honour; nothing while it cannot be reached."""
        try:
            return self._known().capabilities
        except Unavailable as error:
            return Capabilities(notes=(error.message,))

    def unsupported_fields(self, spec: Spec) -> tuple[str, ...]:
        """Name what is larger than the engine's machine.

        Raises:
            Unavailable: the engine cannot be reached, so nothing is known of it.
        """
        return too_large(spec, self._known().capabilities)

    def prepare(self, release: Release, lock_path: Path, progress: Progress) -> None:
        """Make the release's image on this engine."""
        self._images.make(release, lock_path, progress)

    def start(self, order: ReplicaOrder) -> None:
        """Make and start one container.

        Raises:
            Corrupted: the model is not what its digest says.
            Unavailable: the image is not prepared, all GPUs are taken, or the engine cannot take it.
        """
        with self._lock:
            found = self._find(order.id)
            if found is not None and found["State"] != "created":
                return
            if found is not None:
                self._run(found["Id"], order)
                return
            image = self._image(order)
            labels = (image.get("Config") or image.get("ContainerConfig") or {}).get("Labels") or {}
            if labels.get(LABEL_WEIGHTS) == "mount":
                self._volumes.ensure(order.release.inputs.model, order.model_path)
            elif labels.get(LABEL_WEIGHTS) == "pull":
                self._volumes.pull(order.id, order.release.inputs.model, order.model_path)
            self._ensure_network()
            body = container_of(order, self._place(order, image, labels))
            name = container_name(self._options.home, order.id)
            made = self._engine.post("/containers/create", body, name=name)
            self._run(made["Id"], order)

    def observe(self) -> tuple[Observed, ...]:
        """Return what was last seen of every replica.

        Raises:
            Unavailable: the engine cannot be reached, so nothing may be concluded.
        """
        return tuple(replica.observed for replica in self._view.replicas())

    def usage(self, replica_ids: Sequence[str]) -> Mapping[str, ReplicaUsage]:
        """Return what these containers use, as the engine says.

        Raises:
            Unavailable: the engine cannot be reached.
        """
        found: dict[str, ReplicaUsage] = {}
        for replica_id in replica_ids:
            replica = self._view.find(replica_id)
            if replica is None or replica.has_ended:
                continue
            path = f"/containers/{replica.listed.container}/stats"
            # One shot: otherwise the engine takes a second to compare two readings, which is done here.
            stats = self._engine.find(path, **{"stream": False, "one-shot": True})
            usage = usage_from(stats, time.monotonic()) if stats else None
            if usage is not None:
                found[replica_id] = usage
        return found

    def stop(self, replica_id: str, grace_s: float) -> None:
        """Ask a container's server to drain and end; the watcher kills it after ``grace_s``."""
        with self._lock:
            replica = self._view.find(replica_id)
            if replica is None or replica.has_ended:
                return
            container = replica.listed.container
            if not replica.stop_asked:
                # The name tells the next driver, should this one die before the container did.
                stopping = container_name(self._options.home, replica_id) + STOPPING
                with contextlib.suppress(Conflict):
                    self._engine.post(f"/containers/{container}/rename", name=stopping)
            with self._view.lock:
                is_told = replica.term_sent or replica.health.detail == "draining"
                replica.note_stop(grace_s)
                replica.term_sent = True
            if not is_told:
                # A second SIGTERM would cut the drain short. Conflict: it does not run any more.
                with contextlib.suppress(Conflict, NotFound):
                    self._engine.post(f"/containers/{container}/kill", signal="SIGTERM")
        self._watcher.wake()

    def forget(self, replica_id: str) -> None:
        """Remove an ended container, but keep its lines."""
        with self._lock:
            replica = self._view.find(replica_id)
            if replica is None or not replica.has_ended:
                return
            container = replica.listed.container
            with contextlib.suppress(PlatformError):
                lines = engine_lines(self._engine, container, replica_id, tail=100_000)
                self._kept.keep(replica_id, lines)
            with contextlib.suppress(NotFound):
                self._engine.delete(f"/containers/{container}", force=True, v=True)
            self._volumes.drop(replica_id)
            self._view.forget(replica_id)

    def logs(self, replica_id: str, tail: int, follow: bool) -> Iterator[LogLine]:
        """Yield the engine's lines of a container, or the kept ones of a removed one."""
        replica = self._view.find(replica_id)
        if replica is None:
            return iter(self._kept.lines(replica_id, tail))
        container, follows = replica.listed.container, follow and not replica.has_ended
        return engine_lines(self._engine, container, replica_id, tail=tail, follow=follows)

    def prunable(self, keep: frozenset[str]) -> tuple[str, ...]:
        """Return images made from locks that are not in ``keep``."""
        return tuple(
            image["Id"] for image in self._own_images() if image["Labels"][LABEL_LOCK] not in keep
        )

    def prune(self, names: tuple[str, ...]) -> int:
        """Remove images that no container uses; return the bytes that only they held."""
        freed = 0
        for name in names:
            facts = self._engine.find(f"/images/{name}/json")
            if facts is None:
                continue
            with contextlib.suppress(Conflict, NotFound):
                for tag in facts.get("RepoTags") or [name]:
                    self._engine.delete(f"/images/{tag}")
                freed += int(facts.get("Size", 0))
        models = {image["Labels"].get(LABEL_MODEL, "") for image in self._own_images()}
        self._volumes.keep_only(frozenset(models))
        return freed

    def close(self) -> None:
        """End the driver's thread; containers go on."""
        self._watcher.close()
        self._engine.close()

    def _known(self) -> EngineFacts:
        with self._lock:
            if self._facts is None:
                self._facts = facts_of(
                    self._engine.get("/info"),
                    self._engine.get("/version"),
                    gpus=self._options.gpus,
                    is_local=self._engine.is_local,
                )
            return self._facts

    def _own_images(self) -> list[Mapping[str, Any]]:
        filters = {"label": [f"{LABEL_HOME}={self._options.home}", LABEL_LOCK]}
        found: list[Mapping[str, Any]] = self._engine.get("/images/json", filters=filters)
        return found

    def _find(self, replica_id: str) -> Mapping[str, Any] | None:
        filters = own_filter(self._options.home, replica_id)
        found = self._engine.get("/containers/json", all=True, filters=filters)
        return dict(found[0]) if found else None

    def _run(self, container: str, order: ReplicaOrder) -> None:
        try:
            if order.secrets:
                self._run_with_secrets(container, order.secrets)
            else:
                self._engine.post(f"/containers/{container}/start")
        except PlatformError as error:
            with contextlib.suppress(PlatformError):
                self._engine.delete(f"/containers/{container}", force=True)
            raise Unavailable(
                f"replica {order.id} cannot be started: {error.message}", hint=error.hint
            ) from error
        self._view.refresh()
        self._watcher.wake()

    def _run_with_secrets(self, container: str, secrets: Mapping[str, Secret]) -> None:
        line = json.dumps({name: secret.reveal() for name, secret in secrets.items()})
        with self._engine.standard_input(container) as write:
            self._engine.post(f"/containers/{container}/start")
            write(line.encode() + b"\n")

    def _image(self, order: ReplicaOrder) -> Mapping[str, Any]:
        """Return the image that was decided about; else the newest one made for the release, by its label."""
        release = order.release
        missing = Unavailable(
            f"the image of {release.id} is not on target {self._options.target!r}",
            hint="it is made by prepare; deploy the release again",
        )
        if order.image:
            known: Mapping[str, Any] | None = self._engine.find(f"/images/{order.image}/json")
            if known is None:
                raise missing
            return known
        wanted = f"{release.id}@{release.digest}"
        labels = [f"{LABEL_HOME}={self._options.home}", f"{LABEL_RELEASE}={wanted}"]
        found = self._engine.get("/images/json", filters={"label": labels})
        if not found:
            raise missing
        newest = max(found, key=lambda image: image["Created"])
        facts: Mapping[str, Any] = self._engine.get(f"/images/{newest['Id']}/json")
        return facts

    def _place(
        self, order: ReplicaOrder, image: Mapping[str, Any], labels: Mapping[str, str]
    ) -> Place:
        options = self._options
        return Place(
            home=options.home,
            target=options.target,
            image=image["Id"],
            image_labels=labels,
            has_init=self._known().has_init,
            gpus=self._free_gpus(order.release.spec.resources.gpu),
            publish_on=self._address and "0.0.0.0",  # noqa: S104 - the host's own address is not known to us
            log_driver=options.log_driver,
            log_options=_log_options(options),
        )

    def _free_gpus(self, count: int) -> tuple[int, ...]:
        total = self._known().capabilities.gpus
        live = [replica for replica in self._view.replicas() if not replica.has_ended]
        taken = {gpu for replica in live for gpu in replica.gpus}
        free = [gpu for gpu in range(total) if gpu not in taken]
        if count > len(free):
            raise Unavailable(
                f"{count} GPUs asked and {len(free)} of {total} are free",
                hint="scale another backend down, or ask for fewer",
            )
        return tuple(free[:count])

    def _ensure_network(self) -> None:
        name = network_name(self._options.home)
        if self._engine.find(f"/networks/{name}") is not None:
            return
        body = {
            "Name": name,
            "Driver": "bridge",
            "CheckDuplicate": True,
            # A published port needs a way out of its network; elsewhere nothing gets out.
            "Internal": not (self._options.allows_egress or self._address),
            "Options": {"com.docker.network.bridge.enable_icc": "false"},
            "Labels": {LABEL_HOME: self._options.home},
        }
        with contextlib.suppress(Conflict):
            self._engine.post("/networks/create", body)


def _address_of(engine: DockerEngine) -> str:
    return "" if engine.is_local else urlsplit(engine.url).hostname or ""


def _log_options(options: DockerOptions) -> Mapping[str, str]:
    if options.log_driver not in ("json-file", "local") or options.log_options:
        return options.log_options
    size = options.log_bytes_max // LOG_FILES
    return {"max-size": str(size), "max-file": str(LOG_FILES)}
