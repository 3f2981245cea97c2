"""``pai watch``."""

import sys
import time

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.rollouts.screen import screen
from prometheus_ai.client.records import Record
from prometheus_ai.client.session import Client
from prometheus_ai.domain.errors import Unavailable

SPAN_S = 600
POINTS = 60
EVERY_S = 1.0


@command()
@click.argument("name")
@click.option("--once", is_flag=True, help="Show one look and end, as where output is no terminal.")
@click.option(
    "--every", default=EVERY_S, show_default=True, metavar="SECONDS",
    type=click.FloatRange(min=0.2, max=3600), help="Look this often.",
)  # fmt: skip
@as_json
@with_client
def watch(client: Client, name: str, once: bool, every: float, as_json: bool) -> None:
    """Watch backend NAME live: weights, evidence with the time to decide, latency, replicas.

    It fits narrow terminals, goes on while the control plane restarts, and ends with Ctrl-C.
    With --json it writes one look, or one a line until you stop it.

    Examples:
      pai watch digits
      pai watch digits --once
    """
    console = Console(no_color=not output.has_colour(sys.stdout))
    if as_json:
        _write_looks(client, name, None if once else every)
    elif once or not console.is_terminal:
        console.print(screen(*_look(client, name), console.width))
    else:
        _show(client, name, every, console)


def _look(client: Client, name: str) -> tuple[Record, list[Record]]:
    return client.backend(name), client.series(name, span_s=SPAN_S, points=POINTS)


def _write_looks(client: Client, name: str, every: float | None) -> None:
    while True:
        found, series = _look(client, name)
        look = {"backend": found, "series": series}
        if every is None:
            output.write_json(look)
            return
        output.write_json_line(look)
        time.sleep(every)


def _show(client: Client, name: str, every: float, console: Console) -> None:
    shown = screen(*_look(client, name), console.width)
    with Live(shown, console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(every)
            try:
                shown = screen(*_look(client, name), console.width)
                live.update(shown, refresh=True)
            except Unavailable as error:
                # What was last seen stays, with the reason why it is old.
                said = Text(f"{error.message}; asking again", "red")
                live.update(Group(shown, said), refresh=True)
