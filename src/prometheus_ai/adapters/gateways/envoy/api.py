"""The gateway process' own little API on a unix socket: tables in; receipts, status, counters out."""

import fcntl
import http.server
import json
import os
import socketserver
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from prometheus_ai.adapters.gateways.envoy.gateway import EnvoyGateway
from prometheus_ai.adapters.gateways.envoy.table_codec import (
    decode_table,
    encode_counters,
    encode_held,
    encode_receipt,
    encode_status,
)
from prometheus_ai.adapters.gateways.envoy.unix_http import listening_pid, reachable
from prometheus_ai.domain.errors import Conflict, InvalidInput, PlatformError

TABLE_BYTES_MAX = 64 * 2**20
CONNECTIONS_MAX = 32
IDLE_S = 60.0
HELD_WAIT_S_MAX = 30.0


class GatewayApi:
    """Answers on a unix socket that only this user can open."""

    def __init__(self, socket_path: Path, gateway: EnvoyGateway) -> None:
        self._path = socket_path
        self._gateway = gateway
        self._lock: int | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def take(self) -> None:
        """Take the socket, so that no second gateway process starts; answer nothing yet.

        Raises:
            Conflict: another gateway process has it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The kernel lets go of the lock when its holder dies, however it dies.
        self._lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = listening_pid(self._path, IDLE_S)
            raise Conflict(
                f"another gateway (process {pid or 'unknown'}) serves on {self._path}",
                hint="use that one, or end it first",
            ) from error
        self._path.unlink(missing_ok=True)
        with reachable(self._path) as spelling:
            former = os.umask(0o177)
            try:
                self._server = _Server(spelling, self._gateway)
            finally:
                os.umask(former)

    def open(self) -> None:
        """Answer from now on, those who asked meanwhile first."""
        assert self._server is not None, "take the socket first"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="gateway-api"
        )
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._path.unlink(missing_ok=True)
            if self._thread is not None:
                self._server.shutdown()
                self._thread.join()
            self._server.server_close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: str, gateway: EnvoyGateway) -> None:
        self.gateway = gateway
        self._room = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__(path, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._room.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "pai-gateway"
    timeout = IDLE_S
    server: _Server

    def do_GET(self) -> None:
        """Answer ``/status``, ``/counters`` and, once it changed, ``/held``."""
        if self.path == "/status":
            self._answer(lambda: encode_status(self.server.gateway.status()))
        elif self.path == "/counters":
            self._answer(lambda: encode_counters(self.server.gateway.read()))
        elif self.path.startswith("/held?"):
            self._answer(self._held)
        else:
            self._not_found()

    def do_PUT(self) -> None:
        """Take a table at ``/table``."""
        if self.path == "/table":
            self._answer(self._take_table)
        else:
            self._not_found()

    def log_message(self, *_args: Any) -> None:
        """Say nothing: the gateway reports what it does, not who asked."""

    def _take_table(self) -> bytes:
        size = int(self.headers.get("content-length") or 0)
        if size > TABLE_BYTES_MAX:
            raise InvalidInput(f"the table has {size} bytes; at most {TABLE_BYTES_MAX} are taken")
        return encode_receipt(self.server.gateway.publish(decode_table(self.rfile.read(size))))

    def _held(self) -> bytes:
        try:
            asked = dict(parse_qsl(urlsplit(self.path).query))
            after, wait_s = int(asked["after"]), float(asked["wait_s"])
        except (KeyError, ValueError) as error:
            raise InvalidInput("ask for /held?after=NUMBER&wait_s=SECONDS") from error
        return encode_held(self.server.gateway.held(after, min(wait_s, HELD_WAIT_S_MAX)))

    def _answer(self, work: Any) -> None:
        try:
            self._send(HTTPStatus.OK, work())
        except InvalidInput as error:
            self.close_connection = True
            self._send(HTTPStatus.UNPROCESSABLE_ENTITY, _error(error))
        except PlatformError as error:
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, _error(error))

    def _not_found(self) -> None:
        self.close_connection = True
        text = (
            "known: PUT /table, GET /status, GET /counters, GET /held?after=NUMBER&wait_s=SECONDS"
        )
        self._send(HTTPStatus.NOT_FOUND, json.dumps({"error": text}).encode())

    def _send(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _error(error: PlatformError) -> bytes:
    return json.dumps({"error": error.message, "code": error.code, "hint": error.hint}).encode()
