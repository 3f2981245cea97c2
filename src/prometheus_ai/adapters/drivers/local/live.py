"""One replica as this driver knows it: its folder, its records and what was last seen."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from prometheus_ai.adapters.drivers.local.exits import exit_from_record, exit_without_record
from prometheus_ai.adapters.drivers.local.folder import Announced, Order, ReplicaFolder, Started
from prometheus_ai.adapters.drivers.local.logs import tail_texts
from prometheus_ai.adapters.drivers.local.orphans import kill_orphans
from prometheus_ai.adapters.server_state import Health
from prometheus_ai.domain.replica import Endpoint, Exit, Observed, ReplicaPhase

LAST_LINES = 20
SHIM_LATE_S = 5.0
"""How long after the grace a shim may take to have ended its server, before it is killed itself."""


class Replica:
    """What is known of one replica; changed only by its watcher and by ``note_stop``."""

    def __init__(self, folder: ReplicaFolder, order: Order) -> None:
        self.folder = folder
        self.order = order
        self.started: Started | None = folder.started()
        self.announced: Announced | None = None
        self.answered_at = time.monotonic()
        self.stop_asked = folder.has_mark("stopping")
        self.shim_late_at: float | None = None
        phase = ReplicaPhase.UNREADY if folder.has_mark("ready") else ReplicaPhase.STARTING
        if self.stop_asked:
            phase = ReplicaPhase.DRAINING
        self.health = Health(phase=phase, detail=phase.value)
        self.observed = self._observed(None)

    @property
    def has_ended(self) -> bool:
        """Whether its end is known."""
        return self.observed.phase is ReplicaPhase.EXITED

    def refresh(self) -> None:
        """Read the records that appear while it starts."""
        if self.started is None:
            self.started = self.folder.started()
        if self.announced is None and self.started is not None:
            self.announced = self.folder.announced(self.started.pid)
            self.answered_at = time.monotonic()

    def take(self, health: Health) -> bool:
        """Take new health; return whether others should look again."""
        if self.stop_asked and health.phase is not ReplicaPhase.STUCK:
            health = replace(health, phase=ReplicaPhase.DRAINING)
        if health.phase is ReplicaPhase.READY and self.health.phase is ReplicaPhase.STARTING:
            self.folder.mark("ready")
        before = self.observed
        self.health = health
        self.observed = self._observed(None)
        return before.phase is not health.phase or before.endpoint != self.observed.endpoint

    def note_stop(self, grace_s: float) -> None:
        """Remember that it was asked to stop."""
        self.stop_asked = True
        self.shim_late_at = time.monotonic() + grace_s + SHIM_LATE_S
        self.health = replace(self.health, phase=ReplicaPhase.DRAINING, detail="draining")
        self.observed = self._observed(None)

    def kill_late_shim(self) -> None:
        """Kill a shim that did not end in time; the server dies with it."""
        if self.started is None or self.shim_late_at is None:
            return
        if time.monotonic() >= self.shim_late_at and self.folder.is_locked:
            self.shim_late_at = None
            os.kill(self.started.shim_pid, signal.SIGKILL)

    def end(self) -> None:
        """Find out how it ended; sweep what its supervisor could not."""
        self.refresh()
        record = self.folder.exit_record()
        if record is not None:
            ended = exit_from_record(record)
        else:
            ended = self._end_without_record()
        self.folder.drop_secrets()
        phase = ReplicaPhase.EXITED
        self.health = Health(phase=phase, detail=ended.message or ended.cause.value)
        self.observed = self._observed(ended)

    def _end_without_record(self) -> Exit:
        cgroups = [Path(path) for path in self.started.cgroups] if self.started else []
        kill_orphans(self.folder.path, cgroups)
        if self.started is None:
            why = "the control plane ended while it was being started"
        else:
            why = "its supervisor ended without a record: the machine restarted, or it was killed"
        last_log = tail_texts(self.folder.path, LAST_LINES)
        at = self.folder.modified_at()
        return exit_without_record(at, last_log, why=why, asked=self.stop_asked)

    def _observed(self, ended: Exit | None) -> Observed:
        endpoint = None
        if self.announced is not None and ended is None:
            said = self.announced
            endpoint = Endpoint(host=said.host, port=said.port, grpc_port=said.grpc_port)
        return Observed(
            id=self.order.id,
            backend=self.order.backend,
            version=self.order.version,
            phase=self.health.phase,
            endpoint=endpoint,
            pid=self.started.pid if self.started else None,
            started_at=self.started.started_at if self.started else self.folder.modified_at(),
            exit=ended,
            requests_active=self.health.requests_active,
            detail=self.health.detail,
            phases_s=self.health.phases_s,
        )
