"""``pai scale``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, reason, with_client
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@click.argument("replicas", type=click.IntRange(0, 1000), metavar="N")
@click.option("--release", "version", metavar="VERSION", help="Only this release.")
@reason
@as_json
@with_client
def scale(
    client: Client, name: str, replicas: int, version: str | None, reason: str, as_json: bool
) -> None:
    """Set how many replicas each release of backend NAME with traffic has.

    Examples:
      pai scale digits 3
      pai scale digits 1 --release v2
    """
    scaled = client.scale(name, replicas, version=version, reason=reason)
    if as_json:
        output.write_json(scaled)
    else:
        output.write(f"{name}: {', '.join(scaled.versions)} to {replicas} replicas")
        output.say(f"follow it with: pai status {name}")
