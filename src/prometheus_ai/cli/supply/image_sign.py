"""``pai image sign``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command
from prometheus_ai.compose.gate import sign_image
from prometheus_ai.domain.errors import InvalidInput


@command()
@click.argument("reference", metavar="NAME@sha256:DIGEST")
@click.option(
    "--key", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Private key (PKCS8 PEM); PAI_SIGNING_KEY when left out.",
)  # fmt: skip
@click.option(
    "--output", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("signature"),
    show_default=True, help="Folder for manifests and blobs.",
)  # fmt: skip
def sign(reference: str, key: Path | None, folder: Path) -> None:
    """Write a signature over the image NAME@sha256:DIGEST: as a referrer with a bundle, and for the .sig tag.

    Examples:
      pai image sign registry.example.org/digits@sha256:… --key release.pem
    """
    name, _, digest = reference.partition("@")
    if not digest.startswith("sha256:") or len(digest) != 71:
        raise InvalidInput(f"{reference!r} names no digest", hint="write NAME@sha256:<64 digits>")
    for path in sign_image(key, name, digest, folder):
        output.write(str(path))
