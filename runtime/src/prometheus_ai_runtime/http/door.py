"""What all connections of one listener share: limits, the head cache, budgets, the way to handlers."""

from typing import Protocol

from prometheus_ai_runtime.config import Limits, Timeouts
from prometheus_ai_runtime.errors import RequestError
from prometheus_ai_runtime.hosting.model import Standby
from prometheus_ai_runtime.http.answers import error_body
from prometheus_ai_runtime.http.exchange import Exchange
from prometheus_ai_runtime.http.head import Head, HeadCache, Stencil
from prometheus_ai_runtime.http.preparing import prepare
from prometheus_ai_runtime.log import log


class Guest(Protocol):
    """A connection, as the door sees it."""

    def tick(self, now: float) -> None:
        """Enforce the connection's timeouts."""

    def close_idle(self) -> bool:
        """Close if nothing is under way."""


class Resolver(Protocol):
    """Finds the handler for a head."""

    def __call__(self, head: Head) -> None:
        """Set the head's handler, model and version."""


class Door:
    """Shared by all connections; counts, bounds and hands requests on."""

    def __init__(self, limits: Limits, timeouts: Timeouts, resolve: Resolver) -> None:
        self.limits = limits
        self.timeouts = timeouts
        self.head_cache = HeadCache(resolve)
        self.heads = self.head_cache.heads
        self.draining = False
        self.pipelines = limits.pipelined_max > 1
        """Whether a connection may go on being read while it has one request under way."""
        self.bytes_seen_at = 0.0
        self.refusals: dict[int, int] = {}
        """Requests refused before any model was known, by status."""
        self._guests: set[Guest] = set()
        self._body_bytes_left = limits.body_bytes_total_max

    def admit(self, guest: Guest) -> bool:
        """Whether one more connection fits."""
        if len(self._guests) >= self.limits.connections_max:
            return False
        self._guests.add(guest)
        return True

    def leave(self, guest: Guest) -> None:
        """Forget a connection that ended."""
        self._guests.discard(guest)

    def connections(self) -> int:
        """How many connections are open."""
        return len(self._guests)

    def stencil(self, raw: bytes) -> Stencil | None:
        """What fits a head, with its empty line, whose only news are values like its id."""
        if len(raw) > self.limits.head_bytes_max:
            return None
        return self.head_cache.stencil(raw)

    def reserve(self, size: int) -> bool:
        """Take a share of the budget for request bodies."""
        if size > self._body_bytes_left:
            return False
        self._body_bytes_left -= size
        return True

    def release(self, size: int) -> None:
        """Give a share of the body budget back."""
        self._body_bytes_left += size

    def refused(self, status: int) -> None:
        """Count a request that no handler saw."""
        self.refusals[status] = self.refusals.get(status, 0) + 1

    def tick(self, now: float) -> None:
        """Let every connection enforce its timeouts."""
        for guest in list(self._guests):
            guest.tick(now)

    def close_idle(self) -> int:
        """Close idle connections; gives the number still busy."""
        return sum(not guest.close_idle() for guest in list(self._guests))

    def handle(self, exchange: Exchange) -> None:
        """Run the handler; every way out of it is an answer."""
        head = exchange.head
        if head.plain:
            self.run(exchange)
            return
        try:
            prepare(exchange, self.limits.request_bytes_max)
        except RequestError as error:
            exchange.refuse(error)
        else:
            self.run(exchange)

    def _hold(self, exchange: Exchange, standby: Standby) -> None:
        def resume() -> None:
            if not exchange.answered:
                self.run(exchange)

        try:
            standby.hold(resume)
        except RequestError as error:
            exchange.refuse(error)

    def run(self, exchange: Exchange) -> None:
        """Run the handler of a request that is prepared."""
        head = exchange.head
        try:
            assert head.handler is not None, "the resolver sets a handler for every path"
            head.handler(exchange)
        except Standby as standby:
            self._hold(exchange, standby)
        except RequestError as error:
            exchange.refuse(error)
        except Exception as fault:  # noqa: BLE001 - one request must not end the connection
            log("request_fault", "error", path=head.path, error=f"{type(fault).__name__}: {fault}")
            exchange.answer(500, error_body("a fault of the server; its log says more"))
