"""``pai image push``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command
from prometheus_ai.cli.supply.key_option import key_option
from prometheus_ai.compose.distribution import push_image, sign_image


@command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), metavar="IMAGE")
@click.argument("reference", metavar="REFERENCE")
@click.option("--sign", is_flag=True, help="Sign it there, too, with --key or PAI_SIGNING_KEY.")
@key_option
@as_json
def push(path: Path, reference: str, sign: bool, key: str | None, as_json: bool) -> None:
    """Push a saved IMAGE to an image registry as REFERENCE, with the attestations that lie beside it.

    IMAGE is a `docker save` archive, an OCI layout or a sealed bundle. Credentials are those of
    `docker login`, or PAI_REGISTRY_USER and PAI_REGISTRY_PASSWORD.

    Examples:
      docker save my-image -o image.tar && pai image push image.tar registry.example.org/digits:v1
      pai image push digits.pai.tar registry.example.org/digits:v1 --key release.pem
      pai image push digits.pai.tar registry.example.org/digits:v1 --json | jq -r .image
    """
    with output.progress() as shown:
        pushed = push_image(path, reference, shown.step)
    if not as_json:
        output.write(pushed)
    is_signed = bool(sign or key)
    if is_signed:
        sign_image(pushed, key)
        output.say("signed in both of cosign's forms, and verified them")
    if as_json:
        output.write_json({"image": pushed, "is_signed": is_signed})
