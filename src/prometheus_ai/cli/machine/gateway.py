"""``pai gateway``."""

import click

from prometheus_ai.cli.connect import command
from prometheus_ai.cli.connection import home_of
from prometheus_ai.cli.machine.processes import recorded
from prometheus_ai.compose.gateway import run_gateway
from prometheus_ai.compose.settings import load_settings


@command()
@click.pass_context
def gateway(ctx: click.Context) -> int:
    """Run the gateway alone, until SIGTERM or Ctrl-C. It serves its last good table from the start.

    `pai up` runs it together with the control plane.

    Examples:
      pai gateway
      PAI_GATEWAY_PORT=8080 pai gateway
    """
    settings = load_settings(home=home_of(ctx))
    with recorded(settings.run, "gateway"):
        return run_gateway(settings)
