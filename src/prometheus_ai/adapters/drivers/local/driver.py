"""The driver of the local target."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path

from prometheus_ai.adapters.drivers.local.folder import ENDED, Order, ReplicaFolder, scan
from prometheus_ai.adapters.drivers.local.live import Replica
from prometheus_ai.adapters.drivers.local.logs import Follower, tail_lines
from prometheus_ai.adapters.drivers.local.machine import Machine, measure
from prometheus_ai.adapters.drivers.local.orders import order_of
from prometheus_ai.adapters.drivers.local.prober import Prober
from prometheus_ai.adapters.drivers.local.spawn import spawn_shim
from prometheus_ai.adapters.drivers.local.usage import usage_of
from prometheus_ai.domain.errors import Corrupted, Unavailable
from prometheus_ai.domain.release import Artefact, Release
from prometheus_ai.domain.replica import Observed, ReplicaUsage
from prometheus_ai.domain.server_config import server_config
from prometheus_ai.domain.spec import Spec
from prometheus_ai.ports.driver import Capabilities, LogLine, Progress, ReplicaOrder
from prometheus_ai.ports.environment import EnvironmentMaker

FIRST_LOOK_TIMEOUT_S = 2.5


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalLimits:
    """Bounds of what the local target keeps."""

    log_bytes_max: int = 8 * 2**20
    """Captured output of one replica, over both files."""
    ended_logs_max: int = 200
    """Ended replicas whose logs are kept."""


class LocalDriver:
    """Runs replicas as supervised processes; implements the Driver port.

    ``on_change`` is called, from the driver's own thread, whenever a replica changed phase.
    """

    def __init__(
        self,
        root: Path,
        environments: EnvironmentMaker,
        *,
        on_change: Callable[[], None] | None = None,
        limits: LocalLimits | None = None,
        machine: Machine | None = None,
    ) -> None:
        self._root = root
        self._environments = environments
        self._limits = limits or LocalLimits()
        self._machine = machine or measure()
        self._lock = threading.RLock()
        self._replicas: dict[str, Replica] = {}
        self._seen_mtime_ns = -1
        self._closed = threading.Event()
        self.on_change = on_change or (lambda: None)
        self._prober = Prober(self._changed)
        self._adopt(first_look_s=FIRST_LOOK_TIMEOUT_S)

    def capabilities(self) -> Capabilities:
        """Say what this machine can honour."""
        return Capabilities(
            gpus=self._machine.gpus,
            cpu_limit="cpu" in self._machine.cgroups,
            memory_limit="memory" in self._machine.cgroups,
            isolated_network=False,
            cpus_total=self._machine.cpus,
            memory_bytes_total=self._machine.memory_bytes,
            notes=self._machine.notes,
        )

    def unsupported_fields(self, spec: Spec) -> tuple[str, ...]:
        """Name what is larger than this machine, and what only containers have."""
        machine, wanted = self._machine, spec.resources
        target = f"target {spec.target!r} (this machine)"
        messages = []
        if wanted.gpu > machine.gpus:
            has = f"has {machine.gpus} NVIDIA GPUs" if machine.gpus else "has no NVIDIA GPU"
            fits = f"use gpu: {machine.gpus}, or a target with GPUs"
            messages.append(f"resources.gpu: {wanted.gpu} asked, but {target} {has}; {fits}")
        if wanted.cpu > machine.cpus:
            has = f"has {machine.cpus:g} cores; use cpu: {machine.cpus:g} or less"
            messages.append(f"resources.cpu: {wanted.cpu:g} asked, but {target} {has}")
        if wanted.memory_bytes > machine.memory_bytes:
            mebibytes = machine.memory_bytes // 2**20
            has = f"has {mebibytes}Mi; use memory: {mebibytes}Mi or less"
            messages.append(f"resources.memory: {wanted.memory} asked, but {target} {has}")
        if spec.image is not None:
            messages.append(
                f"image: {target} runs processes, not containers, so nothing of it would be used;"
                " leave it out, or set target to a Docker host (`pai target add`)"
            )
        if spec.container is not None:
            messages.append(
                f"container: {target} runs processes, not containers, so no exception would be made;"
                " leave it out, or set target to a Docker host (`pai target add`)"
            )
        return tuple(messages)

    def prepare(self, release: Release, lock_path: Path, progress: Progress) -> None:
        """Make the release's virtual environment."""
        inputs = release.inputs
        self._environments.make(
            lock_path, python=inputs.python, runtime=inputs.runtime, progress=progress
        )

    def start(self, order: ReplicaOrder) -> None:
        """Start one replica under its own shim.

        Raises:
            Corrupted: the model is missing, or does not have the size that was stored.
            Unavailable: its environment is not prepared, all GPUs are taken, or the disk is full.
        """
        inputs = order.release.inputs
        with self._lock:
            self._adopt()
            if order.id in self._replicas:
                return
            _check_model(inputs.model, order.model_path)
            environment = self._environments.find(
                order.lock_path, python=inputs.python, runtime=inputs.runtime
            )
            if environment is None:
                raise Unavailable(
                    f"the environment of {order.release.id} is not on this machine",
                    hint="it is made by prepare; start again afterwards",
                )
            record = order_of(
                order,
                folder=self._root / order.id,
                environment=environment,
                machine=self._machine,
                gpus=self._free_gpus(order.release.spec.resources.gpu),
                log_bytes_max=self._limits.log_bytes_max,
            )
            made = self._make_folder(record, order)
            if made is None:
                return
            self._take_up(made[0], record)
        self._launch(*made)

    def observe(self) -> tuple[Observed, ...]:
        """Return what was last seen of every replica."""
        with self._lock:
            self._adopt()
            return tuple(replica.observed for replica in self._replicas.values())

    def usage(self, replica_ids: Sequence[str]) -> Mapping[str, ReplicaUsage]:
        """Return what these replicas' processes use."""
        with self._lock:
            self._adopt()
            pids = {
                replica_id: replica.started.pid
                for replica_id in replica_ids
                if (replica := self._replicas.get(replica_id)) is not None
                and replica.started is not None
                and not replica.has_ended
            }
        found = {replica_id: usage_of(pid) for replica_id, pid in pids.items()}
        return {replica_id: usage for replica_id, usage in found.items() if usage is not None}

    def stop(self, replica_id: str, grace_s: float) -> None:
        """Ask a replica's shim to end it within ``grace_s``."""
        with self._lock:
            self._adopt()
            replica = self._replicas.get(replica_id)
            if replica is None or replica.has_ended:
                return
            # A shim that cannot be asked has ended or will be killed when it is late.
            replica.folder.send(f"stop {grace_s:.3f}")
            replica.note_stop(grace_s)
        self._prober.wake(replica_id)

    def forget(self, replica_id: str) -> None:
        """Drop an ended replica, but its logs."""
        with self._lock:
            self._adopt()
            replica = self._replicas.get(replica_id)
            if replica is None or not replica.has_ended:
                return
            replica.folder.retire(self._limits.ended_logs_max)
            del self._replicas[replica_id]

    def logs(self, replica_id: str, tail: int, follow: bool) -> Iterator[LogLine]:
        """Yield captured lines of a live or ended replica."""
        folder = self._root / replica_id
        if not folder.exists():
            folder = self._root / ENDED / replica_id
        if follow:
            follower = Follower(folder, lambda: self._has_ended(replica_id), self._closed)
            return follower.lines(tail)
        return iter(tail_lines(folder, tail))

    def prunable(self, keep: frozenset[str]) -> tuple[str, ...]:
        """Return environments that neither ``keep`` nor a running replica needs."""
        used = self._environments_in_use()
        return tuple(name for name in self._environments.prunable(keep) if name not in used)

    def prune(self, names: tuple[str, ...]) -> int:
        """Remove environments that no running replica uses."""
        used = self._environments_in_use()
        return self._environments.prune(tuple(name for name in names if name not in used))

    def close(self) -> None:
        """End the driver's thread; replicas go on."""
        self._closed.set()
        self._prober.close()

    def _changed(self) -> None:
        self.on_change()

    def _adopt(self, first_look_s: float = 0.0) -> None:
        """Take up folders that this driver does not know yet, and let go of what another one forgot."""
        try:
            mtime_ns = self._root.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if mtime_ns == self._seen_mtime_ns:
            return
        looks = []
        folders = scan(self._root)
        here = {folder.id for folder in folders}
        for known in [known for known in self._replicas if known not in here]:
            if self._replicas[known].has_ended:
                del self._replicas[known]
        for folder in folders:
            order = None if folder.id in self._replicas else folder.order()
            if order is not None:
                looks.append(self._take_up(folder, order))
        self._seen_mtime_ns = mtime_ns
        if first_look_s:
            wait(looks, timeout=first_look_s)

    def _take_up(self, folder: ReplicaFolder, order: Order) -> Future[None]:
        replica = Replica(folder, order)
        self._replicas[order.id] = replica
        return self._prober.watch(replica)

    def _make_folder(self, record: Order, order: ReplicaOrder) -> tuple[ReplicaFolder, int] | None:
        try:
            config = server_config(order.release, str(order.model_path))
            return ReplicaFolder.create(self._root, record, config, order.secrets)
        except OSError as error:
            raise Unavailable(
                f"replica {order.id} cannot be written to {self._root}: {error.strerror}",
                hint="free space there, or make it writable; the replica is tried again",
            ) from error

    def _launch(self, folder: ReplicaFolder, lock: int) -> None:
        try:
            spawn_shim(folder.path, lock)
        except OSError as error:
            with self._lock:
                self._replicas.pop(folder.id, None)
                folder.retire(self._limits.ended_logs_max)
            raise Unavailable(f"replica {folder.id} cannot be started: {error}") from error
        finally:
            os.close(lock)
        self._prober.wake(folder.id)

    def _free_gpus(self, count: int) -> tuple[int, ...]:
        live = [replica for replica in self._replicas.values() if not replica.has_ended]
        taken = {gpu for replica in live for gpu in replica.order.gpus}
        free = [gpu for gpu in range(self._machine.gpus) if gpu not in taken]
        if count > len(free):
            raise Unavailable(
                f"{count} GPUs asked and {len(free)} of {self._machine.gpus} are free",
                hint="scale another backend down, or ask for fewer",
            )
        return tuple(free[:count])

    def _environments_in_use(self) -> frozenset[str]:
        with self._lock:
            self._adopt()
            replicas = list(self._replicas.values())
        return frozenset(replica.order.environment for replica in replicas if not replica.has_ended)

    def _has_ended(self, replica_id: str) -> bool:
        with self._lock:
            replica = self._replicas.get(replica_id)
        return replica is None or replica.has_ended


def _check_model(model: Artefact, path: Path) -> None:
    """Check what costs nothing; the store verified the content when it gave the path."""
    if not path.exists():
        raise Corrupted(f"model {path} does not exist", hint="deploy the release again")
    if not model.is_tree and path.stat().st_size != model.size_bytes:
        raise Corrupted(
            f"model {path} has {path.stat().st_size} bytes, and {model.size_bytes} were stored",
            hint="deploy the release again",
        )
