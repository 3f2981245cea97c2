"""``pai image history``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@as_json
@with_client
def history(client: Client, name: str, as_json: bool) -> None:
    """Show the recorded builds of a backend: when, how long, how large, what the cache saved.

    Examples:
      pai image history digits
    """
    found = client.image_history(name)
    if as_json:
        output.write_json(found)
        return
    rows = [
        [
            str(built.at)[:19],
            built.tag,
            f"{built.took_s:.1f} s",
            f"{built.saved_s:.1f} s",
            f"{built.size_bytes / 1e6:.0f} MB",
            f"{sum(step.is_cached for step in built.steps)} of {len(built.steps)}",
        ]
        for built in found
    ]
    output.write_table(["at", "image", "took", "cache saved", "size", "steps cached"], rows)
