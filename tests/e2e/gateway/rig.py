"""A real gateway process with a real Envoy, and short ways to give it tables and ask it things."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from prometheus_ai.compose.gateway import gateway_client
from prometheus_ai.compose.settings import Settings
from prometheus_ai.domain.route import (
    BackendRoute,
    Receipt,
    RoutedRelease,
    RouteTable,
    Sticky,
)
from tests.e2e.gateway.upstream import Upstream

_PROGRAM = """
import sys
from pathlib import Path
from prometheus_ai.compose.gateway import run_gateway
from prometheus_ai.compose.settings import Settings
sys.exit(run_gateway(Settings(home=Path(sys.argv[1]), gateway_port=int(sys.argv[2]))))
"""
PATIENCE_S = 20.0


def wait_until(is_true: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> None:
    """Poll until something holds."""
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.01)


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def release(version: str, *upstreams: Upstream, **fields: Any) -> RoutedRelease:
    """Return a release whose replicas are these upstreams."""
    replicas = tuple(upstream.replica for upstream in upstreams)
    known = {"request_timeout_s": 5.0, "request_bytes_max": 2**20} | fields
    return RoutedRelease(version=version, replicas=replicas, **known)


def route(
    backend: str, *releases: RoutedRelease, weights: dict[str, int], sticky: Sticky | None = None
) -> BackendRoute:
    """Return the route of a backend, weights in percent."""
    points = tuple((version, weight * 100) for version, weight in weights.items())
    return BackendRoute(backend=backend, weights=points, releases=releases, sticky=sticky)


class GatewayRig:
    """One home folder, one port, and the gateway process on them."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home, gateway_port=free_port())
        self.client = gateway_client(self.settings)
        self.url = self.settings.gateway_url
        self.http = httpx.Client(base_url=self.url, timeout=10.0)
        self.table = RouteTable(generation=0, backends=())
        self.process: subprocess.Popen[bytes] | None = None
        self.log = home.parent / "gateway.log"
        home.parent.mkdir(parents=True, exist_ok=True)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start a gateway process and return at once."""
        command = [sys.executable, "-c", _PROGRAM, str(self.settings.home)]
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [*command, str(self.settings.gateway_port)], stdout=output, stderr=output
            )

    def start(self) -> None:
        """Start the gateway process and wait until it serves."""
        self.process = self.spawn()
        wait_until(lambda: self.client.status().is_serving, "the gateway serves")

    def publish(self, *routes: BackendRoute) -> Receipt:
        """Put routes in force; the whole table is these."""
        self.table = replace(self.table, generation=self.table.generation + 1, backends=routes)
        return self.client.publish(self.table)

    def serve(self, *routes: BackendRoute) -> None:
        """Put routes in force, and expect that they are taken."""
        receipt = self.publish(*routes)
        assert receipt.accepted, receipt.detail

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask the gateway; underscores in header names become hyphens."""
        return self.http.get(path, headers=_hyphened(headers))

    def post(self, path: str, content: Any = b"{}", **headers: str) -> httpx.Response:
        """Send something through the gateway."""
        return self.http.post(path, content=content, headers=_hyphened(headers))

    def envoy_pid(self) -> int:
        """Return Envoy's process id."""
        pid = self.client.status().data_plane_pid
        assert pid is not None
        return pid

    def kill_gateway(self) -> None:
        """Kill the gateway process, not Envoy."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=10)

    def close(self) -> None:
        """End the gateway process and Envoy."""
        self.http.close()
        pid = self.client.status().data_plane_pid
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(timeout=30) == 0, self.log.read_text()
        elif pid is not None:
            os.kill(pid, signal.SIGKILL)


def _hyphened(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
