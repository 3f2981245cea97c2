"""``pai image verify``."""

from dataclasses import asdict
from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command
from prometheus_ai.cli.exits import EXIT_BY_ERROR
from prometheus_ai.cli.supply.key_option import public_keys_option
from prometheus_ai.compose.distribution import verify_image
from prometheus_ai.domain.errors import InvalidInput, Refused


@command()
@click.argument("reference", metavar="REFERENCE")
@public_keys_option
@as_json
def verify(reference: str, keys: tuple[str, ...], as_json: bool) -> int:
    """Verify the signatures over the image REFERENCE where it lies. Exit code 6 if no key signed it.

    Examples:
      pai image verify registry.example.org/digits:v1 --public-key release.pub
    """
    if not keys:
        raise InvalidInput("no key to verify with", hint="give --public-key FILE")
    found = verify_image(reference, tuple(map(Path, keys)))
    if as_json:
        output.write_json(asdict(found) | {"is_signed": found.is_signed})
    else:
        word = (
            output.paint("signed", "green")
            if found.is_signed
            else output.paint("not signed", "red")
        )
        output.write(
            f"{found.reference} {found.digest}: {word}{f' by {found.key}' * found.is_signed}"
        )
        for form, checks in (("bundle", found.bundles), (".sig", found.older)):
            for one in checks:
                said = one.problem or f"{one.key}: {one.predicate}"
                output.write(f"  {form}  {said}")
    return 0 if found.is_signed else EXIT_BY_ERROR[Refused]
