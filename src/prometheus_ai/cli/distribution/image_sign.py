"""``pai image sign``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command
from prometheus_ai.cli.supply.key_option import key_option
from prometheus_ai.compose.distribution import sign_image


@command()
@click.argument("reference", metavar="REFERENCE")
@key_option
def sign(reference: str, key: str | None) -> None:
    """Sign the image REFERENCE at its image registry: as a referrer with a bundle, and under the .sig tag.

    Both are read back and verified before the command says that it signed.

    Examples:
      pai image sign registry.example.org/digits:v1 --key release.pem
      pai image sign registry.example.org/digits@sha256:… --key "exec:/usr/local/bin/kms-sign prod"
    """
    found = sign_image(reference, key)
    output.write(f"signed {found.reference}, {found.digest}, in both forms, and verified them")
