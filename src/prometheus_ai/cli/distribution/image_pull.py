"""``pai image pull``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command
from prometheus_ai.cli.supply.key_option import public_keys_option
from prometheus_ai.compose.distribution import pull_image


@command()
@click.argument("reference", metavar="REFERENCE")
@click.option(
    "--out", "target", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE",
    help="Where to write it; `docker load` and every OCI tool read it.",
)  # fmt: skip
@public_keys_option
def pull(reference: str, target: Path, keys: tuple[str, ...]) -> None:
    """Pull the image REFERENCE and what refers to it into FILE; every byte is checked.

    With --public-key only an image that one of these keys signed is written.

    Examples:
      pai image pull registry.example.org/digits:v1 --out digits.tar --public-key release.pub
    """
    with output.progress() as shown:
        pulled = pull_image(reference, target, tuple(map(Path, keys)), shown.step)
    output.write(pulled)
