"""``pai down``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command
from prometheus_ai.cli.connection import home_of
from prometheus_ai.cli.machine.processes import end, living
from prometheus_ai.cli.machine.supervisor import NAME
from prometheus_ai.compose.ending import end_envoy, end_replicas
from prometheus_ai.compose.settings import Settings, load_settings
from prometheus_ai.domain.errors import Unavailable

SUPERVISOR_GRACE_S = 60.0
"""It ends the gateway and the control plane itself, each with a grace of its own."""
GRACE_S = 20.0


@command()
@click.option(
    "--keep-replicas", is_flag=True, help="Let replicas go on; the next start adopts them."
)
@click.pass_context
def down(ctx: click.Context, keep_replicas: bool) -> None:
    """Stop everything that this home folder started, and nothing else.

    Processes are known by number and start time, so a stranger with a reused number is never touched.
    Backends, releases and events stay; `pai up` brings them back.

    Examples:
      pai down
      pai down --keep-replicas
    """
    settings = load_settings(home=home_of(ctx))
    before = living(settings.run)
    for known in living(settings.run, NAME):
        if not end(known, SUPERVISOR_GRACE_S):
            raise Unavailable(f"process {known.pid} ({known.name}) does not end")
    stopped = [known.name for known in before if not known.is_alive]
    stopped += stop_rest(settings, keep_replicas=keep_replicas)
    if stopped:
        output.write(f"stopped: {', '.join(stopped)}")
    else:
        output.write(f"nothing of {settings.home} is running")


def stop_rest(settings: Settings, *, keep_replicas: bool) -> list[str]:
    """End what a supervisor has not ended: processes started alone, an Envoy left behind, replicas.

    Raises:
        Unavailable: a process does not end.
    """
    stopped = []
    # The control plane first: it would start ended replicas again.
    for name in ("server", "gateway"):
        for known in living(settings.run, name):
            if not end(known, GRACE_S):
                raise Unavailable(f"process {known.pid} ({known.name}) does not end")
            stopped.append(known.name)
    stopped += ["envoy"] * end_envoy(settings)
    if not keep_replicas:
        stopped += end_replicas(settings)
    return stopped
