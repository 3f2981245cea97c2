"""The gateway process as the control plane sees it: its seams over one unix socket."""

import contextlib
import http.client
import json
import socket
from http import HTTPStatus
from pathlib import Path

from prometheus_ai.adapters.gateways.envoy.table_codec import (
    decode_counters,
    decode_held,
    decode_receipt,
    decode_status,
    encode_table,
)
from prometheus_ai.adapters.gateways.envoy.unix_http import UnixConnection, exchange
from prometheus_ai.adapters.handles import readable
from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.domain.route import GatewayStatus, HeldReport, Receipt, RouteTable
from prometheus_ai.domain.window import CounterSnapshot

PUBLISH_S = 60.0
READ_S = 10.0
STATUS_S = 3.0
QUIET_S = 2.0
"""After so long without an answer the process is asked whether it works at all."""
KNOCK_S = 1.0


class GatewayClient:
    """Keeps the promises of ``RouteTablePort``, ``MetricSource`` and ``Activator`` through a gateway process."""

    def __init__(self, socket_path: Path, url: str) -> None:
        self._socket = socket_path
        self._url = url
        self._waiting: UnixConnection | None = None
        self._is_stuck = False

    def publish(self, table: RouteTable) -> Receipt:
        """Put a table in force; see ``RouteTablePort``. A process that is stuck is told from one at work."""
        if self._is_stuck:
            self._knock()
        return decode_receipt(self._exchange("PUT", "/table", encode_table(table), PUBLISH_S))

    def status(self) -> GatewayStatus:
        """Say what the gateway serves; not serving when it cannot be reached."""
        try:
            return decode_status(self._exchange("GET", "/status", None, STATUS_S))
        except Unavailable as error:
            return GatewayStatus(
                is_serving=False, generation=0, url=self._url, detail=error.message
            )

    def read(self) -> CounterSnapshot:
        """Return every release's counters; see ``MetricSource``."""
        return decode_counters(self._exchange("GET", "/counters", None, READ_S))

    def held(self, after: int, wait_s: float) -> HeldReport:
        """Return which releases requests wait for; see ``Activator``."""
        connection = UnixConnection(self._socket, wait_s + READ_S)
        self._waiting = connection
        try:
            connection.request("GET", f"/held?after={after}&wait_s={wait_s:g}")
            return decode_held(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise Unavailable(
                f"the gateway on {self._socket} does not say what it holds: {error}",
                hint="start it with: pai up, or pai gateway",
            ) from error
        finally:
            self._waiting = None
            connection.close()

    def interrupt(self) -> None:
        """Let a call of ``held`` end now."""
        waiting = self._waiting
        if waiting is not None and waiting.sock is not None:
            with contextlib.suppress(OSError):
                waiting.sock.shutdown(socket.SHUT_RDWR)

    def _exchange(self, method: str, target: str, body: bytes | None, timeout_s: float) -> bytes:
        try:
            connection = UnixConnection(self._socket, timeout_s)
            with contextlib.closing(connection):
                connection.request(method, target, body)
                if timeout_s > QUIET_S and not _has_answer(connection, QUIET_S):
                    self._knock()
                response = connection.getresponse()
                status, answer = response.status, response.read()
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

    def _knock(self) -> None:
        """See whether the process answers anything.

        Raises:
            Unavailable: it exists, and does not.
        """
        try:
            exchange(self._socket, "GET", "/status", timeout_s=KNOCK_S)
        except TimeoutError as error:
            self._is_stuck = True
            raise Unavailable(
                "the gateway process is there and does not answer: it is stopped or stuck",
                hint="Envoy serves its last routes meanwhile; `pai down` and `pai up` restart it",
            ) from error
        self._is_stuck = False


def _has_answer(connection: UnixConnection, within_s: float) -> bool:
    return bool(readable(connection.sock.fileno(), within_s=within_s))
