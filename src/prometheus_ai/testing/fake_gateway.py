"""A gateway that serves tables in memory and counts what a test says."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.route import (
    GatewayStatus,
    HeldRelease,
    HeldReport,
    Receipt,
    RouteTable,
    Weights,
)
from prometheus_ai.domain.window import (
    CounterSnapshot,
    Histogram,
    ReleaseCounters,
    bucket_index,
)
from prometheus_ai.ports.clock import Clock

URL = "http://127.0.0.1:7080"


class FakeGateway:
    """Keeps the promises of ``RouteTablePort``, ``MetricSource`` and ``Activator``.

    ``is_reachable`` turns the whole gateway off and on; ``tables`` lists the tables that came into force,
    oldest first.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.is_reachable = True
        self.tables: list[RouteTable] = []
        self.published = 0
        """How often ``publish`` was called, answered or not."""
        self._clock = clock
        self._lock = threading.RLock()
        self._refusals: dict[int, str] = {}
        self._rejected: tuple[int, str] | None = None
        self._restarts = 0
        self._counters: dict[tuple[str, str], ReleaseCounters] = {}
        self._held: dict[tuple[str, str], int] = {}
        self._held_number = 0

    @property
    def table(self) -> RouteTable:
        """Return the table in force."""
        with self._lock:
            return self.tables[-1] if self.tables else RouteTable(generation=0, backends=())

    def weights(self, backend: str) -> Weights:
        """Return the weights in force for a backend; empty when it has no route."""
        found = [route.weights for route in self.table.backends if route.backend == backend]
        return found[0] if found else ()

    def publish(self, table: RouteTable) -> Receipt:
        """Put a table in force; see ``RouteTablePort``."""
        with self._lock:
            self.published += 1
            self._check_reachable()
            current = self.table
            if table != current:
                if table.generation <= current.generation:
                    return self._receipt(
                        f"table {table.generation} is not newer than table {current.generation}"
                    )
                if table.generation in self._refusals:
                    words = self._refusals[table.generation]
                    self._rejected = (table.generation, words)
                    return self._receipt(words)
                self.tables.append(table)
            self._rejected = None
            return self._receipt("")

    def status(self) -> GatewayStatus:
        """Say what the gateway serves."""
        with self._lock:
            if not self.is_reachable:
                return GatewayStatus(
                    is_serving=False, generation=0, url=URL, detail="the gateway cannot be reached"
                )
            generation, detail = self._rejected or (None, "")
            return GatewayStatus(
                is_serving=True,
                generation=self.table.generation,
                url=URL,
                rejected_generation=generation,
                rejected_detail=detail,
                data_plane_pid=1,
                data_plane_restarts=self._restarts,
            )

    def read(self) -> CounterSnapshot:
        """Return everything counted since the data plane started; see ``MetricSource``."""
        with self._lock:
            self._check_reachable()
            return CounterSnapshot(
                epoch=f"fake-{self._restarts}",
                at=self._clock.now() if self._clock else datetime.now(UTC),
                releases=tuple(self._counters[key] for key in sorted(self._counters)),
            )

    def count(
        self, backend: str, version: str, *, requests: int, errors: int = 0, latency_s: float = 0.01
    ) -> None:
        """Count requests that a release answered; failed ones have no latency."""
        with self._lock:
            key = (backend, version)
            now = self._counters.get(key) or _nothing(backend, version)
            answered = requests - errors
            added = Histogram(
                count=answered,
                sum=answered * latency_s,
                buckets={bucket_index(latency_s): answered} if answered else {},
            )
            self._counters[key] = replace(
                now,
                requests=now.requests + requests,
                errors=now.errors + errors,
                latency_s=now.latency_s.merge(added),
            )

    def occupy(self, backend: str, version: str, *, active: int, pending: int = 0) -> None:
        """Let a release have requests inside and waiting."""
        with self._lock:
            key = (backend, version)
            now = self._counters.get(key) or _nothing(backend, version)
            self._counters[key] = replace(now, active=active, pending=pending)

    def hold(self, backend: str, version: str, requests: int) -> None:
        """Let that many requests wait for a release; none ends the wait."""
        with self._lock:
            key = (backend, version)
            if requests and key not in self._held:
                self._held_number += 1
            self._held[key] = requests
            if not requests:
                del self._held[key]

    def held(self, after: int, wait_s: float) -> HeldReport:
        """Return who is waited for, at once; see ``Activator``."""
        with self._lock:
            self._check_reachable()
            releases = tuple(
                HeldRelease(backend=key[0], version=key[1], requests=count)
                for key, count in sorted(self._held.items())
            )
            return HeldReport(number=self._held_number, releases=releases)

    def interrupt(self) -> None:
        """Do nothing: ``held`` never waits here."""

    def refuse(self, generation: int, words: str) -> None:
        """Let the data plane reject the table of this generation with these words."""
        with self._lock:
            self._refusals[generation] = words

    def accept(self) -> None:
        """Let the data plane accept every table again."""
        with self._lock:
            self._refusals = {}

    def restart_data_plane(self) -> None:
        """Let the data plane die and come back: the table stays, counters start at zero."""
        with self._lock:
            self._restarts += 1
            self._counters = {}

    def _receipt(self, detail: str) -> Receipt:
        return Receipt(generation=self.table.generation, accepted=not detail, detail=detail)

    def _check_reachable(self) -> None:
        if not self.is_reachable:
            raise Unavailable("the gateway cannot be reached", hint="start it with: pai up")


def _nothing(backend: str, version: str) -> ReleaseCounters:
    return ReleaseCounters(
        backend=backend,
        version=version,
        requests=0,
        errors=0,
        client_errors=0,
        rejected=0,
        retries=0,
        active=0,
        pending=0,
        latency_s=Histogram(),
    )
