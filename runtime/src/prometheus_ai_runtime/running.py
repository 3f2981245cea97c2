"""The event loop around a server."""

import argparse
import asyncio

import uvloop

from prometheus_ai_runtime.config import ServerConfig
from prometheus_ai_runtime.serve import Listen, Server


def run(config: ServerConfig, options: argparse.Namespace) -> int:
    """Serve until asked to stop; gives the exit code."""
    listen = Listen(
        host=options.host,
        port=options.port,
        grpc_port=options.grpc_port,
        announce=options.announce,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, listen))
    return 0


async def _serve(config: ServerConfig, listen: Listen) -> None:
    await Server(config, listen).run()
