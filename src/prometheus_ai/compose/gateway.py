"""The gateway process: Envoy and what keeps it running, put together from settings."""

import ipaddress
import json
import os
import resource
import signal
import sys
import threading
from datetime import UTC, datetime
from functools import partial
from types import FrameType
from typing import Any

from prometheus_ai.adapters.gateways.envoy.api import GatewayApi
from prometheus_ai.adapters.gateways.envoy.binary import find_envoy
from prometheus_ai.adapters.gateways.envoy.client import GatewayClient
from prometheus_ai.adapters.gateways.envoy.gateway import EnvoyGateway, Rendering
from prometheus_ai.adapters.gateways.envoy.supervisor import EnvoyPlace
from prometheus_ai.compose.clock import SystemClock
from prometheus_ai.compose.settings import Settings
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.gateway.clusters import release_of
from prometheus_ai.gateway.listener import ListenerOptions
from prometheus_ai.gateway.resources import gone, node_id, render, steps

_STOP = frozenset({signal.SIGTERM, signal.SIGINT})
_LEAVE = frozenset({signal.SIGHUP})
_WORKERS_MAX = 8


def run_gateway(settings: Settings) -> int:
    """Serve until a signal comes; return the process' exit code.

    SIGTERM and SIGINT finish the requests under way and end Envoy. SIGHUP ends this process alone:
    Envoy goes on serving, and the next gateway process adopts it, as after a crash.

    Raises:
        Conflict: another gateway process serves this home folder.
        Unavailable: Envoy is missing or cannot serve; says why.
        InvalidInput: a setting cannot be honoured.
    """
    told = threading.Event()
    received: list[signal.Signals] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(signal.Signals(number))
        told.set()

    former = {number: signal.signal(number, stop) for number in _STOP | _LEAVE}
    _allow_many_connections()
    gateway = _gateway(settings)
    api = GatewayApi(settings.gateway_socket, gateway)
    try:
        # The socket first: it is what keeps a second gateway out.
        api.take()
        gateway.open()
        api.open()
        told.wait()
        _report("gateway_stopping", signal=received[0].name)
    finally:
        api.close()
        gateway.close(leave_running=bool(_LEAVE.intersection(received)))
        for number, handler in former.items():
            signal.signal(number, handler)
    return 0


def gateway_client(settings: Settings) -> GatewayClient:
    """Return what the control plane speaks to the gateway process with."""
    return GatewayClient(settings.gateway_socket, settings.gateway_url)


def _gateway(settings: Settings) -> EnvoyGateway:
    options = ListenerOptions(host=_address(settings.gateway_host), port=settings.gateway_port)
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = EnvoyPlace(
        binary=find_envoy(),
        folder=settings.gateway,
        log=settings.logs / "envoy.log",
        host=options.host,
        port=options.port,
        workers=max(1, min(_WORKERS_MAX, (os.cpu_count() or 1) // 2)),
    )
    rendering = Rendering(
        render=partial(render, options=options),
        steps=steps,
        gone=gone,
        release_of=release_of,
        node_id=node_id,
    )
    return EnvoyGateway(place, rendering, SystemClock(), _report, settings.gateway_url)


def _address(host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host))
    except ValueError as error:
        raise InvalidInput(
            f"gateway_host must be an IP address, not {host!r}",
            hint="127.0.0.1 for this machine alone, 0.0.0.0 for every network",
        ) from error


def _allow_many_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _report(event: str, **fields: Any) -> None:
    # Plain JSON lines: a logging library would be a third of this process.
    line = {"time": datetime.now(UTC).isoformat(), "level": "info", "event": event} | fields
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()
