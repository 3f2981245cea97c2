"""``pai target remove``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.confirm import confirm
from prometheus_ai.cli.connect import command, with_client, yes
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@yes
@with_client
def remove(client: Client, name: str, yes: bool) -> None:
    """Forget a target that nothing runs on; its machine is left as it is.

    Examples:
      pai target remove lab
      pai target remove lab --yes
    """
    confirm(f"Forget target {name}?", yes=yes)
    client.remove_target(name)
    output.write(f"target {name} removed")
