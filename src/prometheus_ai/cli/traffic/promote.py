"""``pai promote``."""

import click

from prometheus_ai.cli.connect import as_json, command, reason, with_client
from prometheus_ai.cli.traffic.shifted import tell
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@click.option("--to", "version", metavar="VERSION", help="A release other than the newest.")
@reason
@as_json
@with_client
def promote(client: Client, name: str, version: str | None, reason: str, as_json: bool) -> None:
    """Give all traffic of backend NAME to its newest release.

    The release before keeps running for a while, ready for `pai rollback`.

    Examples:
      pai promote digits
      pai promote digits --to v3 --reason "better on October's data"
    """
    tell(client.promote(name, version, reason=reason), as_json=as_json)
