"""Reading what one replica answered."""

from typing import Protocol

from prometheus_ai.domain.answers import KeptRequest, Replayed, ReplicaReading
from prometheus_ai.domain.replica import Endpoint


class ReplicaReader(Protocol):
    """Asks model servers; safe to use from several threads."""

    def read(
        self, endpoint: Endpoint, after: int, *, in_full: bool, share: float
    ) -> ReplicaReading:
        """Return what came after a position; what came before is forgotten there.

        ``in_full`` brings whole answers, and ``share`` of all answers is kept from now on.

        Raises:
            Unavailable: it does not answer in time, or not as a model server does.
        """

    def ask(self, endpoint: Endpoint, request: KeptRequest, timeout_s: float) -> Replayed:
        """Send a kept request to one replica, marked as a copy; an answer that does not come has status 0.

        It goes past the gateway, so it is in nobody's traffic.
        """

    def close(self) -> None:
        """Release connections."""
