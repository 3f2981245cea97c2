"""``pai logs``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option("--replica", metavar="ID", help="One replica instead of all.")
@click.option("--tail", type=click.IntRange(0, 10_000), default=100, show_default=True, metavar="N",
              help="Last lines of each replica.")  # fmt: skip
@as_json
@with_client
def logs(
    client: Client, name: str, follow: bool, replica: str | None, tail: int, as_json: bool
) -> None:
    """Show what the replicas of backend NAME wrote; with --json, one object a line.

    Examples:
      pai logs digits --tail 20
      pai logs digits --follow
    """
    is_empty = True
    for line in client.logs(name, replica=replica, tail=tail, follow=follow):
        is_empty = False
        if as_json:
            output.write_json_line(line)
        else:
            where = output.paint(f"{line.at[11:23]} {line.replica}", "dim")
            output.write_line(f"{where} {line.text}")
    if is_empty and tail:
        output.say(f"no replica of {name} wrote anything yet: `pai why {name}` says what it does")
