"""``pai report rollout``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command, with_client
from prometheus_ai.cli.rollouts.page import page
from prometheus_ai.cli.ship.files import write_text
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Where to write it  [default: NAME-RELEASE.html]",
)  # fmt: skip
@with_client
def rollout(client: Client, name: str, out: Path | None) -> None:
    """Write the newest rollout of backend NAME as one HTML page with plots.

    The page needs nothing else: pass it on, print it, or open it on a phone.

    Examples:
      pai report rollout digits
      pai report rollout digits --out rollout.html
    """
    found = client.course(name)
    path = out or Path(f"{name}-{found.candidate}.html")
    write_text(path, page(found))
    output.write(str(path))
