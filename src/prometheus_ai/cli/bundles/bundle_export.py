"""``pai bundle export``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.supply.key_option import key_option
from prometheus_ai.client.session import Client
from prometheus_ai.compose.distribution import seal
from prometheus_ai.compose.signing import signer_of


@command("export")
@click.argument("name")
@click.option(
    "--out", "target", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="FILE",
    help="Where to write it.",
)  # fmt: skip
@click.option("--version", "version_", metavar="VERSION", help="A version instead of the newest.")
@click.option(
    "--advisories", multiple=True, metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An archive of advisories that travels with it.",
)  # fmt: skip
@click.option("--seal", "sealed", is_flag=True, help="Seal it with --key or PAI_SIGNING_KEY.")
@key_option
@as_json
@with_client
def export(
    client: Client, name: str, target: Path, version_: str | None, advisories: tuple[Path, ...],
    sealed: bool, key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Write a release of backend NAME to FILE: image, model, lock, spec, policy, signatures, attestations.

    The file is an OCI layout, which `docker load` and `pai image push` read, too. A seal signs the list
    of everything in it; the key stays on this machine.

    Examples:
      pai bundle export digits --out digits.pai.tar --key release.pem
      pai bundle export digits --out digits.pai.tar --advisories PyPI.zip --key release.pem
    """
    if sealed or key:
        signer_of(key)  # a key that cannot be read is said before the long work
    with output.progress() as shown:
        found = client.export_bundle(
            name, target, version=version_, advisories=advisories, on_progress=shown.step
        )
    if sealed or key:
        seal(target, key)
    if as_json:
        output.write_json(found)
        return
    output.write(f"{target}: {found.backend} {found.version}, {found.size_bytes / 1e6:.1f} MB")
    if not (sealed or key):
        output.say("it is not sealed: the other site takes it only with --unsealed")
