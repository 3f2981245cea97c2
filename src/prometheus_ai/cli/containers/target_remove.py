"""``pai target remove``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command, with_client
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@with_client
def remove(client: Client, name: str) -> None:
    """Forget a target that nothing runs on; its machine is left as it is.

    Examples:
      pai target remove lab
    """
    client.remove_target(name)
    output.write(f"target {name} removed")
