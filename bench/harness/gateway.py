"""A real gateway with replicas that answer at once, and a client that adds next to nothing."""

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_ai.adapters.gateways.envoy.client import GatewayClient
from prometheus_ai.compose.gateway import gateway_client
from prometheus_ai.compose.settings import Settings
from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.route import BackendRoute, RoutedRelease, RoutedReplica, RouteTable

READY_S = 20.0
_GATEWAY = (
    "import sys; from pathlib import Path; from prometheus_ai.compose.gateway import run_gateway;"
    "from prometheus_ai.compose.settings import Settings;"
    "sys.exit(run_gateway(Settings(home=Path(sys.argv[1]), gateway_port=int(sys.argv[2]))))"
)


@contextlib.contextmanager
def running_gateway() -> Iterator[tuple[GatewayClient, int, subprocess.Popen[bytes]]]:
    """Yield the client of a fresh gateway, the port that it serves on, and its process."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home) / "home", gateway_port=_free_port())
        client = gateway_client(settings)
        command = [sys.executable, "-c", _GATEWAY, str(settings.home), str(settings.gateway_port)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + READY_S
            while not client.status().is_serving:
                assert time.monotonic() < deadline, "the gateway did not come up"
                time.sleep(0.01)
            yield client, settings.gateway_port, process
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextlib.contextmanager
def running_replica() -> Iterator[int]:
    """Yield the port of a replica in a process of its own."""
    with port_of("-m", "bench.harness.replica") as port:
        yield port


@contextlib.contextmanager
def port_of(*arguments: str) -> Iterator[int]:
    """Run Python with these arguments in a process of its own; yield the port that it prints first."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def release(version: str, *ports: int) -> RoutedRelease:
    """Return a release with a replica on each port of this machine."""
    return RoutedRelease(
        version=version,
        replicas=tuple(
            RoutedReplica(id=f"{version}-{port}", endpoint=Endpoint(host="127.0.0.1", port=port))
            for port in ports
        ),
        request_timeout_s=30.0,
        request_bytes_max=2**24,
    )


def table(
    generation: int, weights: tuple[tuple[str, int], ...], *releases: RoutedRelease
) -> RouteTable:
    """Return a table of the one backend ``digits``."""
    route = BackendRoute(backend="digits", weights=weights, releases=releases)
    return RouteTable(generation=generation, backends=(route,))


class Connection:
    """One HTTP/1.1 connection that sends the same request again and again."""

    def __init__(self, port: int, body: bytes = b"{}") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = (
            b"POST /v2/models/digits/infer HTTP/1.1\r\nhost: localhost\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        ) + body

    def ask(self) -> bytes:
        """Send the request; return the head of the answer.

        Raises:
            ConnectionError: the connection broke before the answer was whole.
        """
        self._socket.sendall(self._request)
        received = b""
        while True:
            part = self._socket.recv(65536)
            if not part:
                raise ConnectionError("the gateway closed the connection")
            received += part
            head, found, body = received.partition(b"\r\n\r\n")
            if found and len(body) >= int(head.lower().split(b"content-length:")[1].split()[0]):
                return head

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
