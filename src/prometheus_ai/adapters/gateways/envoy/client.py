"""The gateway process as the control plane sees it: both seams over its unix socket."""

import http.client
import json
from http import HTTPStatus
from pathlib import Path

from prometheus_ai.adapters.gateways.envoy.table_codec import (
    decode_counters,
    decode_receipt,
    decode_status,
    encode_table,
)
from prometheus_ai.adapters.gateways.envoy.unix_http import exchange
from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.domain.route import GatewayStatus, Receipt, RouteTable
from prometheus_ai.domain.window import CounterSnapshot

PUBLISH_S = 60.0
READ_S = 10.0


class GatewayClient:
    """Keeps the promises of ``RouteTablePort`` and ``MetricSource`` through a gateway process."""

    def __init__(self, socket_path: Path, url: str) -> None:
        self._socket = socket_path
        self._url = url

    def publish(self, table: RouteTable) -> Receipt:
        """Put a table in force; see ``RouteTablePort``."""
        return decode_receipt(self._exchange("PUT", "/table", encode_table(table), PUBLISH_S))

    def status(self) -> GatewayStatus:
        """Say what the gateway serves; not serving when it cannot be reached."""
        try:
            return decode_status(self._exchange("GET", "/status", None, READ_S))
        except Unavailable as error:
            return GatewayStatus(
                is_serving=False, generation=0, url=self._url, detail=error.message
            )

    def read(self) -> CounterSnapshot:
        """Return every release's counters; see ``MetricSource``."""
        return decode_counters(self._exchange("GET", "/counters", None, READ_S))

    def _exchange(self, method: str, target: str, body: bytes | None, timeout_s: float) -> bytes:
        try:
            status, answer = exchange(self._socket, method, target, body, timeout_s=timeout_s)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"the gateway cannot be reached on {self._socket}: {error}",
                hint="start it with: pai up, or pai gateway",
            ) from error
        if status == HTTPStatus.OK:
            return answer
        found = json.loads(answer)
        kind = InvalidInput if status == HTTPStatus.UNPROCESSABLE_ENTITY else Unavailable
        raise kind(found["error"], hint=found.get("hint", ""))
