"""The event loop around a server."""

import argparse
import asyncio
import resource

from prometheus_ai_runtime.config import ServerConfig
from prometheus_ai_runtime.log import log
from prometheus_ai_runtime.serve import Listen, Server
from prometheus_ai_runtime.sockets.loop import new_loop
from prometheus_ai_runtime.watch.cgroup import compute_threads

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
    # On a lone core, looking for a request would keep its sender from sending it.
    busy_poll_s = config.busy_poll_us * 1e-6 if compute_threads() > 1 else 0.0
    with asyncio.Runner(loop_factory=lambda: new_loop(busy_poll_s)) as runner:
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
