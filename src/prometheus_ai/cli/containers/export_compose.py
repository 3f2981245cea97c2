"""``pai export compose``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command, with_client
from prometheus_ai.client.session import Client
from prometheus_ai.domain.errors import Conflict


@command()
@click.argument("name")
@click.option("--version", metavar="VERSION", help="A release  [default: the stable one]")
@click.option(
    "--out", "folder", type=click.Path(path_type=Path), metavar="DIR",
    help="Folder to write to; it must be empty or new  [default: NAME-compose]",
)  # fmt: skip
@with_client
def compose(client: Client, name: str, version: str | None, folder: Path | None) -> None:
    """Write a Compose file, and its gateway, that run a release on Docker without pai.

    Containers are hardened as pai hardens them, weights are mounted read-only, and only the gateway's
    port is published. The folder's README says how to run it, and on which engine.

    Examples:
      pai export compose digits
      pai export compose digits --version v2 --out digits
    """
    folder = folder or Path(f"{name}-compose")
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} is not empty", hint="name a new folder with --out")
    files = client.export_compose(name, version)
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / Path(file).name).write_text(text)
    output.write(f"wrote {len(files)} files to {folder}; {folder / 'README.md'} says how to run it")
