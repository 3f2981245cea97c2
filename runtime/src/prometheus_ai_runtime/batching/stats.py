"""Counters and histograms of one model."""

from typing import Any

from prometheus_ai_runtime.errors import RequestError
from prometheus_ai_runtime.watch.histogram import Histogram

_RATE_DECAY = 0.98
_CLIENT_CODES = ("invalid", "not_found", "too_large")
_REJECTED_CODES = ("overloaded", "unavailable")


class ModelStats:
    """What one model did since the server started."""

    __slots__ = (
        "_busy_s",
        "_drained",
        "active",
        "batches",
        "cancelled",
        "client_error",
        "compute_seconds",
        "first_piece_seconds",
        "ok",
        "piece_gap_seconds",
        "pieces",
        "queue_seconds",
        "rejected",
        "request_seconds",
        "rows",
        "server_error",
    )

    def __init__(self) -> None:
        self.ok = self.client_error = self.server_error = self.rejected = self.cancelled = 0
        self.rows = self.batches = self.active = 0
        self.request_seconds = Histogram()
        self.queue_seconds = Histogram()
        self.compute_seconds = Histogram()
        self.first_piece_seconds = Histogram()
        self.piece_gap_seconds = Histogram()
        self.pieces = 0
        self._drained = self._busy_s = 0.0

    def batch(self, rows: int, compute_s: float) -> None:
        """Count one engine call."""
        self.rows += rows
        self.batches += 1
        self.compute_seconds.record(compute_s)
        self._drained = self._drained * _RATE_DECAY + rows
        self._busy_s = self._busy_s * _RATE_DECAY + compute_s

    def piece(self, now: float, arrived: float, last: float) -> None:
        """Count one piece of a streamed answer; ``last`` is when the one before it came, or 0."""
        self.pieces += 1
        if last:
            self.piece_gap_seconds.record(now - last)
            self.piece_gap_seconds.trim()
        else:
            self.first_piece_seconds.record(now - arrived)

    def failed(self, error: RequestError) -> None:
        """Count one request that got an error answer."""
        if error.code in _CLIENT_CODES:
            self.client_error += 1
        elif error.code in _REJECTED_CODES:
            self.rejected += 1
        elif error.code == "cancelled":
            self.cancelled += 1
        else:
            self.server_error += 1

    def drain_rate(self) -> float:
        """Rows a second while the engine was busy, over the last fifty or so batches."""
        return self._drained / self._busy_s if self._busy_s > 0.0 else 0.0

    def trim(self) -> None:
        """Keep the histograms' pending lists short."""
        self.request_seconds.trim()
        self.queue_seconds.trim()
        self.compute_seconds.trim()

    def counts(self) -> dict[str, int]:
        """Requests by outcome."""
        return {
            "ok": self.ok,
            "client_error": self.client_error,
            "server_error": self.server_error,
            "rejected": self.rejected,
            "cancelled": self.cancelled,
        }

    def histograms(self) -> dict[str, Any]:
        """The exact histograms, as the wire page names them; those of streams once there are any."""
        histograms = {
            "request_seconds": self.request_seconds.as_json(),
            "queue_seconds": self.queue_seconds.as_json(),
            "compute_seconds": self.compute_seconds.as_json(),
        }
        if self.pieces:
            histograms["first_piece_seconds"] = self.first_piece_seconds.as_json()
            histograms["piece_gap_seconds"] = self.piece_gap_seconds.as_json()
        return histograms
