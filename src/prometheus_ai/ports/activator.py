"""Who holds requests for releases that sleep."""

from typing import Protocol

from prometheus_ai.domain.route import HeldReport


class Activator(Protocol):
    """Holds requests for releases without a ready replica, and says which are waited for."""

    def held(self, after: int, wait_s: float) -> HeldReport:
        """Return which releases are waited for, once the report's number is not ``after``, or after ``wait_s``.

        Raises:
            Unavailable: the gateway cannot be reached, and nothing is held.
        """

    def interrupt(self) -> None:
        """Let a call of ``held`` that waits now end at once; it may raise."""
