"""``pai image pull``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command
from prometheus_ai.cli.supply.key_option import public_keys_option
from prometheus_ai.compose.distribution import pull_image


@command()
@click.argument("reference", metavar="REFERENCE")
@click.option(
    "--out", "target", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE",
    help="Where to write it; `docker load` and every OCI tool read it.",
)  # fmt: skip
@public_keys_option
@as_json
def pull(reference: str, target: Path, keys: tuple[str, ...], as_json: bool) -> None:
    """Pull the image REFERENCE and what refers to it into FILE; every byte is checked.

    With --public-key only an image that one of these keys signed is written.
    With --json, is_signed is null where no key was given, so that nothing was verified.

    Examples:
      pai image pull registry.example.org/digits:v1 --out digits.tar --public-key release.pub
      pai image pull registry.example.org/digits:v1 --out digits.tar --json | jq -r .image
    """
    with output.progress() as shown:
        pulled = pull_image(reference, target, tuple(map(Path, keys)), shown.step)
    if as_json:
        is_signed = True if keys else None
        output.write_json({"image": pulled, "file": str(target), "is_signed": is_signed})
    else:
        output.write(pulled)
