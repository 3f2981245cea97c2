"""``pai bundle import``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.session import Client


@command("import")
@click.argument(
    "path", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE"
)
@click.option("--unsealed", is_flag=True, help="Take it although no key of the policy sealed it.")
@as_json
@with_client
def import_bundle(client: Client, path: Path, unsealed: bool, as_json: bool) -> None:
    """Make a release of the bundle FILE, after every byte of it was checked; all of it or nothing.

    Its signatures and attestations come along and count where this site's policy names their keys; the
    policy inside it is for reading and changes nothing here. The gate decides before anything starts.

    Examples:
      pai bundle import digits.pai.tar
    """
    with output.progress() as shown:
        found = client.import_bundle(path, unsealed=unsealed, on_progress=shown.step)
    if as_json:
        output.write_json(found)
        return
    word = "new" if found.is_new else "known already"
    output.write(
        f"{found.backend} {found.version}: {word}, sealed by {found.sealed_by or 'nobody'}"
    )
    output.write(f"{found.statements} signed statements, {found.advisories} archives of advisories")
    output.say(
        f"`pai status {found.backend}` shows it starting; `pai gate explain` shows the decision"
    )
