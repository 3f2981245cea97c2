"""The gateway, as the control plane sees it."""

from typing import Protocol

from prometheus_ai.domain.route import GatewayStatus, Receipt, RouteTable


class RouteTablePort(Protocol):
    """Takes route tables and puts them in force.

    Promises: ``publish`` returns after the data plane confirmed or rejected the table; a rejected table
    leaves the last good one in force; an older generation than the one in force is ignored.
    """

    def publish(self, table: RouteTable) -> Receipt:
        """Put a table in force.

        Raises:
            Unavailable: the gateway cannot be reached; its last table stays in force.
        """

    def status(self) -> GatewayStatus:
        """Say what the gateway serves; ``is_serving`` is false when it cannot be reached."""
