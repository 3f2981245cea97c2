"""``pai server``."""

import signal
import socket
import sys
import threading
from types import FrameType

import click
import structlog
import uvicorn

from prometheus_ai.api import create_app
from prometheus_ai.api.guard import LOOPBACK_HOSTS
from prometheus_ai.cli.connect import command
from prometheus_ai.cli.connection import home_of
from prometheus_ai.cli.machine.processes import recorded
from prometheus_ai.compose.control_plane import open_control_plane
from prometheus_ai.compose.settings import Settings, load_settings
from prometheus_ai.control.control_plane import ControlPlane
from prometheus_ai.domain.errors import Unavailable

GRACE_S = 5
"""Longest that open streams hold up the end of the process."""
IDLE_S = 30
BACKLOG = 512
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@command()
@click.pass_context
def server(ctx: click.Context) -> None:
    """Run the control plane alone, until SIGTERM or Ctrl-C. Replicas and gateway go on without it.

    `pai up` runs it together with the gateway.

    Examples:
      pai server
      PAI_API_PORT=7171 pai server
    """
    settings = load_settings(home=home_of(ctx))
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.ExceptionRenderer(),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    listener = _listen(settings)
    running = open_control_plane(settings)
    try:
        with recorded(settings.run, "server"):
            running.start()
            _serve(running.control, settings, listener)
    finally:
        running.close()
        listener.close()


def _listen(settings: Settings) -> socket.socket:
    """Take the port before anything else, so that a taken one changes nothing."""
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.api_host, settings.api_port))
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"the API cannot listen on {settings.api_host}:{settings.api_port}: {error.strerror}",
            hint="stop what uses the port, or choose another with PAI_API_PORT",
        ) from error
    listener.listen(BACKLOG)
    return listener


def _serve(control: ControlPlane, settings: Settings, listener: socket.socket) -> None:
    hosts = LOOPBACK_HOSTS if settings.api_host in _LOOPBACK else None
    config = uvicorn.Config(
        create_app(control, hosts=hosts),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
    )
    told = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        told.set()

    # uvicorn raises the signal that ended it once more; without a handler that would end the process
    # before the loops are stopped and the state is closed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    uvicorn.Server(config).run(sockets=[listener])
