"""``pai events``."""

import json

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.watch.words import moment
from prometheus_ai.client.records import Record
from prometheus_ai.client.session import Client


@command()
@click.argument("name", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on with new events until Ctrl-C.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, metavar="N",
              help="Newest events to show.")  # fmt: skip
@as_json
@with_client
def events(client: Client, name: str | None, follow: bool, limit: int, as_json: bool) -> None:
    """Show who changed what, when and why; all of it, or what concerns backend NAME.

    Examples:
      pai events digits
      pai events --limit 100 --json
      pai events --follow
    """
    if follow:
        for event in client.follow_events(name):
            output.write_json_line(event) if as_json else output.write_line(_line(event))
        return
    found = client.events(name, limit=limit)
    if as_json:
        output.write_json(found)
        return
    for event in found:
        output.write(_line(event))


def _line(event: Record) -> str:
    about = "/".join(part for part in (event.backend, event.version) if part) or "-"
    change = f" {_short(event.before)} -> {_short(event.after)}" if event.before else ""
    return (
        f"{output.paint(moment(event.at), 'dim')} {event.kind:<22} {about:<20} "
        f"by {event.actor}: {event.reason}{change}"
    )


def _short(values: Record) -> str:
    text = json.dumps(values.get("weights", values), separators=(",", ":"))
    return text if len(text) <= 60 else text[:59] + "…"
