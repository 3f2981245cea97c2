"""``pai gc``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.session import Client


@command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@as_json
@with_client
def gc(client: Client, dry_run: bool, as_json: bool) -> None:
    """Remove artefacts and environments that no release of any backend needs.

    Examples:
      pai gc --dry-run
      pai gc
    """
    found = client.collect(dry_run=dry_run)
    if as_json:
        output.write_json(found)
        return
    verb = "would free" if found.is_dry_run else "freed"
    counts = f"{len(found.artefacts)} artefacts and {len(found.environments)} environments"
    output.write(f"{verb} {found.bytes_freed / 2**20:.1f} MiB: {counts}")
