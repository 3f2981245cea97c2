"""Reading what one replica answered."""

from typing import Protocol

from prometheus_ai.domain.answers import ReplicaReading
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

    def close(self) -> None:
        """Release connections."""
