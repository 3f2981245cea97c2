"""What an installation has on its engine: refreshed from the engine, kept between refreshes."""

import contextlib
import threading
import time
from datetime import UTC, datetime

from prometheus_ai.adapters.docker_engine import DockerEngine
from prometheus_ai.adapters.drivers.docker.exits import exit_of, time_of
from prometheus_ai.adapters.drivers.docker.live import ENDED_STATES, Listed, Replica, listed_of
from prometheus_ai.adapters.drivers.docker.logs import engine_lines
from prometheus_ai.adapters.drivers.docker.names import own_filter
from prometheus_ai.domain.errors import Conflict, NotFound, PlatformError, Unavailable

LAST_LINES = 20
UNSTARTED_S = 30.0
"""A container that was made and not started within this was left by a control plane that died between both."""


class EngineView:
    """Every replica of an installation on one engine. Safe to use from several threads."""

    def __init__(self, engine: DockerEngine, home: str, address: str) -> None:
        self._engine = engine
        self._home = home
        self._address = address
        self._lock = threading.RLock()
        self._refreshing = threading.Lock()
        self._replicas: dict[str, Replica] = {}
        self._problem: Unavailable | None = Unavailable("the Docker Engine was not asked yet")
        self._was_away = False

    @property
    def lock(self) -> threading.RLock:
        """Held while a replica is changed."""
        return self._lock

    def replicas(self) -> list[Replica]:
        """Return what was last seen.

        Raises:
            Unavailable: the engine could not be reached: nothing may be concluded.
        """
        with self._lock:
            if self._problem is not None:
                raise Unavailable(self._problem.message, hint=self._problem.hint)
            return list(self._replicas.values())

    def known(self) -> list[Replica]:
        """Return what was last seen, however long ago."""
        with self._lock:
            return list(self._replicas.values())

    def find(self, replica_id: str) -> Replica | None:
        """Return one replica, or None."""
        with self._lock:
            return self._replicas.get(replica_id)

    def refresh(self) -> bool:
        """Ask the engine what there is; return whether something changed. Never raises."""
        with self._refreshing:
            try:
                filters = own_filter(self._home)
                entries = self._engine.get("/containers/json", all=True, filters=filters)
                changed = self._merge([listed_of(entry) for entry in entries])
            except Unavailable as error:
                with self._lock:
                    is_new = self._problem is None
                    self._problem, self._was_away = error, True
                return is_new
            with self._lock:
                changed = changed or self._problem is not None
                self._problem, self._was_away = None, False
            return changed

    def forget(self, replica_id: str) -> None:
        """Drop a replica whose container was removed."""
        with self._lock:
            self._replicas.pop(replica_id, None)

    def _merge(self, found: list[Listed]) -> bool:
        changed = False
        here = {listed.id for listed in found}
        with self._lock:
            gone = [known for known in self._replicas if known not in here]
            for replica_id in gone:
                del self._replicas[replica_id]
        for listed in found:
            changed = self._take(listed) or changed
        return changed or bool(gone)

    def _take(self, listed: Listed) -> bool:
        with self._lock:
            replica = self._replicas.get(listed.id)
            is_new = replica is None or replica.listed.container != listed.container
            if replica is None or is_new:
                replica = self._replicas[listed.id] = Replica(listed, self._address)
            was_running, replica.listed = replica.is_running, listed
        if replica.has_ended:
            return False
        if listed.state in ENDED_STATES:
            self._end(replica)
            return True
        if listed.state == "created":
            age_s = (datetime.now(UTC) - listed.created_at).total_seconds()
            if replica.stop_asked or (age_s > UNSTARTED_S and not replica.is_running):
                with self._lock:
                    replica.end_unstarted()
                return True
            return is_new
        if replica.is_running and (is_new or not was_running or replica.endpoint is None):
            self._inspect(replica)
            return True
        return is_new

    def _inspect(self, replica: Replica) -> None:
        facts = self._engine.find(f"/containers/{replica.listed.container}/json")
        if facts is not None:
            with self._lock:
                replica.inspect(facts)

    def _end(self, replica: Replica) -> None:
        facts = self._engine.find(f"/containers/{replica.listed.container}/json")
        if facts is None:
            return
        container = replica.listed.container
        lines = engine_lines(self._engine, container, replica.listed.id, tail=LAST_LINES)
        last_log: tuple[str, ...] = ()
        # A log driver that cannot be read only costs the last words.
        with contextlib.suppress(PlatformError):
            last_log = tuple(line.text for line in lines)
        state = facts["State"]
        ended = exit_of(state, last_log, asked=replica.stop_asked, engine_was_away=self._was_away)
        with self._lock:
            replica.end(ended, time_of(state.get("StartedAt", "")))

    def kill_late(self) -> None:
        """Kill the containers whose grace is over."""
        now = time.monotonic()
        for replica in self.known():
            if replica.kill_at is None or now < replica.kill_at or not replica.is_running:
                continue
            with contextlib.suppress(NotFound, Conflict):
                self._engine.post(f"/containers/{replica.listed.container}/kill", signal="SIGKILL")
            replica.kill_at = None
