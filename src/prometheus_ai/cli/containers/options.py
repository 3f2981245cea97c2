"""Options that the image commands share."""

from pathlib import Path

import click

spec_file = click.argument("file", type=click.Path(path_type=Path), default=Path("pai.yaml"))
on_target = click.option(
    "--target", default="docker", show_default=True, metavar="NAME", help="Whose engine builds."
)
