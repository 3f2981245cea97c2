"""One container as this driver knows it: what the engine says, what its server says, how it ended."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from prometheus_ai.adapters.drivers.docker.exits import time_of
from prometheus_ai.adapters.drivers.docker.names import is_stopping
from prometheus_ai.adapters.server_state import Health
from prometheus_ai.domain.image import (
    GRPC_PORT,
    HTTP_PORT,
    LABEL_BACKEND,
    LABEL_GPUS,
    LABEL_PROGRESS,
    LABEL_REPLICA,
    LABEL_VERSION,
)
from prometheus_ai.domain.replica import Endpoint, Exit, ExitCause, Observed, ReplicaPhase

RUNNING_STATES = frozenset({"running", "paused", "restarting"})
ENDED_STATES = frozenset({"exited", "dead"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One entry of the engine's list."""

    container: str
    name: str
    state: str
    created_at: datetime
    labels: Mapping[str, str]

    @property
    def id(self) -> str:
        """The replica's id."""
        return self.labels[LABEL_REPLICA]


def listed_of(entry: Mapping[str, Any]) -> Listed:
    """Read one entry of ``GET /containers/json``."""
    names = entry.get("Names") or [""]
    return Listed(
        container=entry["Id"],
        name=names[0].lstrip("/"),
        state=entry["State"],
        created_at=datetime.fromtimestamp(entry["Created"], UTC),
        labels=entry.get("Labels") or {},
    )


class Replica:
    """What is known of one container; guarded by the watcher's lock."""

    def __init__(self, listed: Listed, address: str) -> None:
        self.listed = listed
        self.progress_s = float(listed.labels.get(LABEL_PROGRESS) or 30)
        self.stop_asked = is_stopping(listed.name)
        self.term_sent = False
        self.kill_at: float | None = None
        self.answered_at = time.monotonic()
        self.seen_at = time.monotonic()
        self.exit: Exit | None = None
        self._address = address
        """Address of published ports; empty when the container's own is reached."""
        self._pid: int | None = None
        self._started_at = listed.created_at
        self.endpoint: Endpoint | None = None
        phase = ReplicaPhase.DRAINING if self.stop_asked else ReplicaPhase.STARTING
        self.health = Health(phase=phase, detail=phase.value)
        self.observed = self._observed()

    @property
    def has_ended(self) -> bool:
        """Whether its end is known."""
        return self.exit is not None

    @property
    def is_running(self) -> bool:
        """Whether the engine says that it runs."""
        return self.listed.state in RUNNING_STATES

    @property
    def gpus(self) -> frozenset[int]:
        """The GPUs that it was given."""
        said = self.listed.labels.get(LABEL_GPUS, "")
        return frozenset(int(gpu) for gpu in said.split(",") if gpu)

    def inspect(self, facts: Mapping[str, Any]) -> None:
        """Take what the engine says of a running container."""
        self._pid = int(facts["State"].get("Pid", 0)) or None
        self._started_at = time_of(facts["State"].get("StartedAt", "")) or self.listed.created_at
        self.endpoint = self._endpoint_in(facts["NetworkSettings"])
        self.answered_at = time.monotonic()
        self.observed = self._observed()

    def take(self, health: Health) -> bool:
        """Take new health; return whether others should look again."""
        if self.has_ended:
            return False
        if self.stop_asked and health.phase is not ReplicaPhase.STUCK:
            health = replace(health, phase=ReplicaPhase.DRAINING)
        before = self.health.phase
        self.health = health
        self.observed = self._observed()
        return before is not health.phase

    def note_stop(self, grace_s: float) -> None:
        """Remember that it was asked to stop, and by when it must have."""
        self.stop_asked = True
        kill_at = time.monotonic() + grace_s
        self.kill_at = kill_at if self.kill_at is None else min(self.kill_at, kill_at)
        self.health = replace(self.health, phase=ReplicaPhase.DRAINING, detail="draining")
        self.observed = self._observed()

    def end(self, ended: Exit, started_at: datetime | None) -> None:
        """Take its end."""
        self.exit = ended
        self._pid, self.endpoint = None, None
        self._started_at = started_at or self.listed.created_at
        phase = ReplicaPhase.EXITED
        self.health = Health(phase=phase, detail=ended.message or ended.cause.value)
        self.observed = self._observed()

    def end_unstarted(self) -> None:
        """Take the end of a container that never ran."""
        cause = ExitCause.STOPPED if self.stop_asked else ExitCause.LOST
        why = "" if self.stop_asked else "the control plane ended while it was being started"
        self.end(Exit(cause=cause, message=why, at=self.listed.created_at), None)

    def _endpoint_in(self, networks: Mapping[str, Any]) -> Endpoint | None:
        exposed = networks.get("Ports") or {}
        if self._address:
            port, grpc_port = (
                next((int(entry["HostPort"]) for entry in exposed.get(f"{number}/tcp") or ()), None)
                for number in (HTTP_PORT, GRPC_PORT)
            )
            if port is None:
                return None
            return Endpoint(host=self._address, port=port, grpc_port=grpc_port)
        # A container from before replicas offered gRPC exposes no such port.
        grpc_port = GRPC_PORT if f"{GRPC_PORT}/tcp" in exposed else None
        for network in (networks.get("Networks") or {}).values():
            if network.get("IPAddress"):
                return Endpoint(host=network["IPAddress"], port=HTTP_PORT, grpc_port=grpc_port)
        return None

    def _observed(self) -> Observed:
        return Observed(
            id=self.listed.id,
            backend=self.listed.labels.get(LABEL_BACKEND, ""),
            version=self.listed.labels.get(LABEL_VERSION, ""),
            phase=self.health.phase,
            endpoint=self.endpoint,
            pid=self._pid,
            started_at=self._started_at,
            exit=self.exit,
            requests_active=None if self.exit else self.health.requests_active,
            detail=self.health.detail,
            phases_s=self.health.phases_s,
        )
