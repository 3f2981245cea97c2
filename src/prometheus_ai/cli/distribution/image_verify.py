"""``pai image verify``."""

import re
from dataclasses import asdict
from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command
from prometheus_ai.cli.connection import Connection
from prometheus_ai.cli.exits import EXIT_BY_ERROR
from prometheus_ai.cli.supply.key_option import public_keys_option
from prometheus_ai.client.session import Client
from prometheus_ai.compose.distribution import verify_image
from prometheus_ai.domain.errors import Corrupted, InvalidInput, Refused

_BACKEND = re.compile(r"^[a-z0-9][a-z0-9-]*$")


@command()
@click.argument("reference", metavar="REFERENCE_OR_BACKEND")
@public_keys_option
@click.option(
    "--version", "version_", metavar="VERSION", help="Of a backend: another than the newest."
)
@as_json
def verify(reference: str, keys: tuple[str, ...], version_: str | None, as_json: bool) -> int:
    """Verify an image: where it lies by its signatures, or a backend's by digest, labels and signatures.

    The image of a backend is compared with what was recorded of its release, and signatures count by the policy's
    keys. Exit code 6 when no key signed it, 8 when it is not the recorded one.

    Examples:
      pai image verify registry.example.org/digits:v1 --public-key release.pub
      pai image verify digits
    """
    if not keys and _BACKEND.match(reference):
        return _verify_backend(reference, version_, as_json=as_json)
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


def _verify_backend(name: str, version: str | None, *, as_json: bool) -> int:
    connection = click.get_current_context().find_object(Connection) or Connection()
    with Client(url=connection.url, home=connection.home) as client:
        found = client.image_verification(name, version)
    wrong = [fact for fact in found.facts if fact.recorded != fact.found]
    if as_json:
        output.write_json(found)
    else:
        output.write(f"{found.tag} on {found.target}: {found.image}")
        for fact in found.facts:
            is_wrong = fact in wrong
            word = output.paint("differs", "red") if is_wrong else output.paint("agrees", "green")
            more = f"; recorded {fact.recorded}, found {fact.found or 'nothing'}" * is_wrong
            output.write(f"  {fact.name}: {word}{more}")
        for one in found.signatures:
            output.write(f"  signature: {one.problem or f'{one.key}: {one.predicate}'}")
        said = f"signed by {', '.join(found.signed_by)}" if found.signed_by else "not signed"
        output.write(f"  {said}")
        if wrong:
            output.say(
                "do not sign it: another image lies under this tag; deploy the release again"
            )
        elif not found.signed_by:
            output.say(f"sign it with `pai model sign {name} --image`")
    if wrong:
        return EXIT_BY_ERROR[Corrupted]
    return 0 if found.signed_by else EXIT_BY_ERROR[Refused]
