"""``pai rollback``."""

import click

from prometheus_ai.cli.connect import as_json, command, reason, with_client
from prometheus_ai.cli.traffic.shifted import tell
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@click.option("--to", "version", metavar="VERSION", help="A release other than the one before.")
@reason
@as_json
@with_client
def rollback(client: Client, name: str, version: str | None, reason: str, as_json: bool) -> None:
    """Return all traffic of backend NAME to the release before.

    During a canary that is the stable release; after a promotion the one that was stable before.

    Examples:
      pai rollback digits --reason "wrong answers"
      pai rollback digits --to v1
    """
    tell(client.rollback(name, version, reason=reason), as_json=as_json)
