"""``pai model sign``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.supply.key_option import key_option
from prometheus_ai.client.session import Client
from prometheus_ai.compose.signing import sign_with
from prometheus_ai.domain.errors import NotFound

MODEL_PREDICATE = "https://model_signing/signature/v1.0"
IMAGE_PREDICATE = "https://sigstore.dev/cosign/sign/v1"


@command()
@click.argument("name")
@click.option("--version", "version_", metavar="VERSION", help="A version instead of the newest.")
@key_option
@click.option("--image", is_flag=True, help="Sign the image that its target runs, not the model.")
@as_json
@with_client
def sign(
    client: Client, name: str, version_: str | None, key: str | None, image: bool, as_json: bool
) -> None:
    """Sign what backend NAME runs. The key stays on this machine; the signature goes to the platform.

    Examples:
      pai model sign digits --key release.pem
      pai model sign digits --key release.pem --image
    """
    judged = client.gate(name, version_)
    digest = judged.image if image else judged.model
    if not digest:
        raise NotFound(f"{name} runs no image on {judged.target}", hint="leave --image out")
    bundle = sign_with(key, digest, name, (IMAGE_PREDICATE if image else MODEL_PREDICATE, b"{}"))
    found = client.add_signature(digest, bundle.decode())
    if as_json:
        output.write_json(found)
    elif found.key:
        output.write(f"signed {digest} as {found.key}")
    else:
        output.write(
            f"signed {digest}; its public key is not in the policy, so it does not count yet"
        )
