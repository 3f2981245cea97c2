"""``pai image sign``."""

from dataclasses import asdict

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command
from prometheus_ai.cli.supply.key_option import key_option
from prometheus_ai.compose.distribution import sign_image


@command()
@click.argument("reference", metavar="REFERENCE")
@key_option
@as_json
def sign(reference: str, key: str | None, as_json: bool) -> None:
    """Sign the image REFERENCE at its image registry: as a referrer with a bundle, and under the .sig tag.

    Both are read back and verified before the command says that it signed.

    Examples:
      pai image sign registry.example.org/digits:v1 --key release.pem
      pai image sign registry.example.org/digits@sha256:… --key "exec:/usr/local/bin/kms-sign prod"
      pai image sign registry.example.org/digits:v1 --json | jq -r .digest
    """
    found = sign_image(reference, key)
    if as_json:
        output.write_json(asdict(found) | {"is_signed": found.is_signed})
    else:
        output.write(f"signed {found.reference}, {found.digest}, in both forms, and verified them")
