"""Measuring: the gateway's counters become windows in the store."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.window import CounterSnapshot, Window
from prometheus_ai.telemetry import merge_windows, windows_between

SPAN_S = 10.0
"""Windows are kept this long when fresh."""
COMPACT_EVERY_S = 600.0
COMPACT_AFTER = timedelta(hours=2)
COMPACT_SPAN_S = 300
"""Older windows are merged to this length; nothing is lost but the finer times."""


@dataclass(kw_only=True)
class Meter:
    """Reads counters, and stores what happened since the last reading."""

    plane: Plane
    previous: CounterSnapshot | None = None
    pending: list[Window] = field(default_factory=list)
    pending_since: datetime | None = None
    compacted_at: float = 0.0
    kept: timedelta = timedelta(days=30)
    """How long windows, decisions and records of ended replicas are kept; events stay for ever."""

    def read_once(self) -> None:
        """Take one reading; store windows once a span is full.

        Raises:
            Unavailable: the gateway cannot be reached; the next reading covers the gap.
        """
        snapshot = self.plane.metrics.read()
        if self.previous is not None:
            fresh = windows_between(self.previous, snapshot)
            self.pending = merge_windows([*self.pending, *fresh])
            self.pending_since = self.pending_since or self.previous.at
        self.previous = snapshot
        since = self.pending_since
        if since is not None and snapshot.at - since >= timedelta(seconds=SPAN_S):
            self._store(snapshot.at)

    def _store(self, now: datetime) -> None:
        busy = [window for window in self.pending if window.requests or window.rejected]
        compact = self.plane.clock.monotonic() - self.compacted_at > COMPACT_EVERY_S
        if busy or compact:
            with self.plane.store.write() as tx:
                tx.add_windows(busy)
                if compact:
                    tx.compact_windows(now - COMPACT_AFTER, COMPACT_SPAN_S)
                    tx.forget_windows(now - self.kept)
                    tx.forget_replicas(now - self.kept)
                    tx.forget_decisions(now - self.kept)
                    self.compacted_at = self.plane.clock.monotonic()
        self.pending = []
        self.pending_since = None
