"""The gateway: one table in force, one Envoy that serves it, and what it counted."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_ai.adapters.gateways.envoy.admin import EnvoyAdmin
from prometheus_ai.adapters.gateways.envoy.configuration import (
    BOOTSTRAP,
    EnvoyConfiguration,
)
from prometheus_ai.adapters.gateways.envoy.files import rename_durably, write_durably
from prometheus_ai.adapters.gateways.envoy.holding import Holding
from prometheus_ai.adapters.gateways.envoy.readings import (
    CounterLedger,
    Key,
    ReleaseOf,
    counters_by_release,
)
from prometheus_ai.adapters.gateways.envoy.supervisor import EnvoyPlace, EnvoySupervisor, Report
from prometheus_ai.adapters.gateways.envoy.table_codec import decode_table, encode_table
from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.domain.route import GatewayStatus, HeldReport, Receipt, RouteTable
from prometheus_ai.domain.window import CounterSnapshot
from prometheus_ai.ports.clock import Clock

Files = Mapping[str, bytes]

TABLE = "table.json"
PENDING = "table.pending.json"
HOLD_SOCKET = "hold.sock"
HISTOGRAMS_S = 0.02
"""Time for Envoy's workers to hand in their histograms after they were asked to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendering:
    """The pure functions that say what Envoy must read."""

    render: Callable[[RouteTable], Files]
    steps: Callable[[Files, Files], Sequence[Files]]
    """The writes between two sets of files, in the order that leaves no gap."""
    gone: Callable[[Files, Files], frozenset[Key]]
    """The releases whose clusters the first files have and the second have not."""
    release_of: ReleaseOf
    node_id: Callable[[Files], str]


class EnvoyGateway:
    """Keeps the promises of ``RouteTablePort``, ``MetricSource`` and ``Activator`` with a local Envoy."""

    def __init__(
        self, place: EnvoyPlace, rendering: Rendering, clock: Clock, report: Report, url: str
    ) -> None:
        self._folder = place.folder
        self._rendering = rendering
        self._clock = clock
        self._report = report
        self._url = url
        self._admin = EnvoyAdmin(place.folder / "admin.sock")
        self._configuration = EnvoyConfiguration(place.folder, self._admin, place.log)
        self._supervisor = EnvoySupervisor(place, self._admin, self._node_id, report)
        self._ledger = CounterLedger()
        self._holding = Holding(place.folder / HOLD_SOCKET, report)
        self._table = RouteTable(generation=0, backends=())
        self._rejected: tuple[int, str] | None = None
        """Generation and Envoy's words, until the next good table."""
        # One table at a time, and one reading of counters at a time.
        self._applying = threading.Lock()
        self._reading = threading.Lock()

    def open(self) -> None:
        """Serve the last good table, with the Envoy that runs or with a new one.

        Raises:
            Unavailable: Envoy cannot serve; says why.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._configuration.load()
        pending, stored = self._stored(PENDING), self._stored(TABLE)
        wanted = self._rendering.render(stored or self._table)
        if stored is None and self._configuration.is_complete:
            # Without a table, what Envoy served last is still better than nothing.
            wanted = {**self._configuration.files(), BOOTSTRAP: wanted[BOOTSTRAP]}
        self._table = stored or self._table
        self._hold_requests()
        is_running = self._admin.server_info() is not None
        self._configuration.write({BOOTSTRAP: wanted[BOOTSTRAP]} if is_running else wanted)
        self._supervisor.open()
        words = self._lead_to(wanted)
        if words:
            self._report("stored_table_rejected", detail=words)
        if pending is not None and pending.generation > self._table.generation:
            # The former gateway process died between writing this table and hearing Envoy's answer.
            receipt = self.publish(pending)
            self._report("pending_table", generation=pending.generation, taken=receipt.accepted)
        self._report("gateway_serving", url=self._url, generation=self._table.generation)

    def close(self, *, leave_running: bool = False) -> None:
        """End Envoy after its requests are finished, or leave it serving."""
        self._holding.close()
        self._supervisor.close(leave_running=leave_running)

    def publish(self, table: RouteTable) -> Receipt:
        """Put a table in force; see ``RouteTablePort``."""
        started = self._clock.monotonic()
        with self._applying:
            accepted, detail = self._publish(table)
            return Receipt(
                generation=self._table.generation,
                accepted=accepted,
                detail=detail,
                took_s=self._clock.monotonic() - started,
            )

    def status(self) -> GatewayStatus:
        """Say what the gateway serves."""
        problem = self._supervisor.problem
        try:
            is_serving = self._admin.listeners_active() > 0
            if not is_serving:
                problem = problem or f"Envoy runs, and does not listen; see {self._folder}"
        except Unavailable as error:
            is_serving, problem = False, problem or error.message
        rejected_generation, rejected_detail = self._rejected or (None, "")
        return GatewayStatus(
            is_serving=is_serving,
            generation=self._table.generation,
            url=self._url,
            rejected_generation=rejected_generation,
            rejected_detail=rejected_detail,
            data_plane_pid=self._supervisor.pid,
            data_plane_restarts=self._supervisor.restarts,
            detail=problem,
        )

    def held(self, after: int, wait_s: float) -> HeldReport:
        """Return which releases requests wait for; see ``Activator``."""
        return self._holding.held(after, wait_s)

    def read(self) -> CounterSnapshot:
        """Return everything counted since this Envoy started; see ``MetricSource``."""
        return self._take_reading()

    def _publish(self, table: RouteTable) -> tuple[bool, str]:
        current = self._table
        if table.generation <= current.generation and table != current:
            return False, (
                f"table {table.generation} is not newer than table {current.generation}, "
                "which stays in force"
            )
        if table != current:
            words = self._apply(table)
            if words:
                self._rejected = (table.generation, words)
                self._report("table_rejected", generation=table.generation, detail=words)
                return False, words
        self._rejected = None
        return True, ""

    def _apply(self, table: RouteTable) -> str:
        try:
            wanted = self._rendering.render(table)
        except InvalidInput as error:
            return error.message
        pending, kept = self._folder / PENDING, self._folder / TABLE
        try:
            write_durably(pending, encode_table(table))
            words = self._lead_to(wanted)
            if not words:
                rename_durably(pending, kept)
        except OSError as error:
            raise Unavailable(
                f"the gateway cannot write in {self._folder}: {os.strerror(error.errno or 0)}",
                hint="free disk space; the former table stays in force",
            ) from error
        finally:
            pending.unlink(missing_ok=True)
        if not words:
            self._table = table
            self._holding.serve(table)
        return words

    def _hold_requests(self) -> None:
        try:
            self._holding.open()
        except OSError as error:
            raise Unavailable(
                f"requests cannot be held in {self._folder}: {error.strerror}",
                hint="free disk space, or make the folder writable",
            ) from error
        self._holding.serve(self._table)

    def _lead_to(self, wanted: Files) -> str:
        former = self._configuration.files()
        for step in self._rendering.steps(former, wanted):
            here = self._configuration.files()
            if self._rendering.gone(here, step):
                # Clusters take their counts with them, so these are read before.
                self._take_reading()
            words = self._configuration.put(step)
            if words:
                for back in self._rendering.steps(self._configuration.files(), former):
                    self._configuration.put(back)
                return words
            revived = self._rendering.gone(step, here)
            if self._ledger.knows(revived):
                self._take_reading(revived)
        return ""

    def _take_reading(self, revived: frozenset[Key] = frozenset()) -> CounterSnapshot:
        with self._reading:
            epoch = self._supervisor.epoch
            self._admin.merge_histograms()
            self._clock.wait(HISTOGRAMS_S)
            stats = self._admin.cluster_stats()
            if not epoch or epoch != self._supervisor.epoch:
                raise Unavailable("Envoy was restarted during the reading", hint="read again")
            readings = counters_by_release(stats, self._rendering.release_of)
            self._ledger.observe(epoch, readings, revived)
            return self._ledger.snapshot(self._clock.now())

    def _node_id(self) -> str:
        return self._rendering.node_id(self._configuration.files())

    def _stored(self, name: str) -> RouteTable | None:
        path = self._folder / name
        try:
            return decode_table(path.read_bytes())
        except FileNotFoundError:
            return None
        except InvalidInput as error:
            # Kept for whoever asks why; Envoy's own files still hold what it served.
            path.replace(path.with_suffix(".unreadable"))
            self._report("stored_table_unreadable", path=str(path), error=error.message)
            return None
