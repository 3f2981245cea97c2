"""The event loop around a server."""

import argparse
import asyncio
import resource

from prometheus_ai_runtime.config import ServerConfig
from prometheus_ai_runtime.log import log
from prometheus_ai_runtime.serve import Listen, Server
from prometheus_ai_runtime.sockets.loop import new_loop

_OTHER_FILES = 256
"""Files beside connections: models, logs, pipes to model processes."""


def run(config: ServerConfig, options: argparse.Namespace) -> int:
    """Serve until asked to stop; gives the exit code."""
    _allow_files(config.limits.connections_max)
    listen = Listen(
        host=options.host,
        port=options.port,
        grpc_port=options.grpc_port,
        announce=options.announce,
    )
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(config, listen))
    return 0


def _allow_files(connections_max: int) -> None:
    """Raise the soft limit on open files to what the connections may need, as far as the hard one lets."""
    wanted = connections_max + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < wanted:
            log("few_files", "warning", files_max=allowed, connections_max=connections_max)


async def _serve(config: ServerConfig, listen: Listen) -> None:
    await Server(config, listen).run()
