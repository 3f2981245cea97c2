"""``pai releases``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.watch.words import moment
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@as_json
@with_client
def releases(client: Client, name: str, as_json: bool) -> None:
    """Show every release of backend NAME, oldest first.

    Examples:
      pai releases digits
      pai releases digits --json | jq -r '.[-1].digest'
    """
    found = client.releases(name)
    if as_json:
        output.write_json(found)
        return
    rows = [
        (
            one.version,
            output.paint_state(one.phase),
            f"{one.weight:g} %",
            one.engine,
            one.model,
            one.digest[7:19],
            moment(one.created_at),
            one.created_by,
        )
        for one in found
    ]
    columns = ("release", "phase", "traffic", "engine", "model", "digest", "created", "by")
    output.write_table(columns, rows)
