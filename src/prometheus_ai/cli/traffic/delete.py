"""``pai delete``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.confirm import confirm
from prometheus_ai.cli.connect import as_json, command, reason, with_client, yes
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@yes
@reason
@as_json
@with_client
def delete(client: Client, name: str, yes: bool, reason: str, as_json: bool) -> None:
    """Delete backend NAME: its traffic ends, its replicas drain, its events stay.

    Examples:
      pai delete digits
      pai delete digits --yes --reason "replaced by digits-large"
    """
    summary = client.backend(name).summary
    running = f"{summary.replicas_ready} replicas, {summary.traffic.requests} requests lately"
    confirm(f"Delete backend {name} ({running})?", yes=yes)
    deleted = client.delete(name, reason=reason)
    if as_json:
        output.write_json(deleted)
    else:
        output.write(f"{name} is being deleted")
