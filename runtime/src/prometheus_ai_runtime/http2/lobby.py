"""What all gRPC connections share: limits, methods, budgets."""

from typing import Protocol

from prometheus_ai_runtime.config import Limits, Timeouts
from prometheus_ai_runtime.http2.call import Methods


class Guest(Protocol):
    """A connection, as the lobby sees it."""

    def tick(self, now: float) -> None:
        """Enforce the connection's timeouts."""

    def go_away(self, *, last: bool) -> None:
        """Tell the client to open no more calls here."""

    def close_idle(self) -> bool:
        """Close if nothing is under way."""


class Lobby:
    """Counts and bounds the connections."""

    def __init__(self, limits: Limits, timeouts: Timeouts, methods: Methods) -> None:
        self.limits = limits
        self.timeouts = timeouts
        self.methods = methods
        self.faults = 0
        """Connections that ended because the client broke the protocol."""
        self._guests: set[Guest] = set()
        self._bytes_left = limits.body_bytes_total_max

    def admit(self, guest: Guest) -> bool:
        """Whether one more connection fits."""
        if len(self._guests) >= self.limits.connections_max:
            return False
        self._guests.add(guest)
        return True

    def leave(self, guest: Guest) -> None:
        """Forget a connection that ended."""
        self._guests.discard(guest)

    def guests(self) -> list[Guest]:
        """The open connections."""
        return list(self._guests)

    def reserve(self, size: int) -> bool:
        """Take a share of the budget for incomplete messages."""
        if size > self._bytes_left:
            return False
        self._bytes_left -= size
        return True

    def release(self, size: int) -> None:
        """Give a share back."""
        self._bytes_left += size
