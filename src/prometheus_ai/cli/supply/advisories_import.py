"""``pai advisories import``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.supply.advisory_words import write_data
from prometheus_ai.client.session import Client


@command("import")
@click.argument(
    "path", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE"
)
@as_json
@with_client
def import_archive(client: Client, path: Path, as_json: bool) -> None:
    """Take in FILE: an OSV archive (all.zip of an ecosystem) or CISA's catalogue of exploited weaknesses.

    Examples:
      pai advisories import PyPI.zip
      pai advisories import known_exploited_vulnerabilities.json
    """
    with output.progress() as shown:
        found = client.import_advisories(path, shown.step)
    if as_json:
        output.write_json(found)
    else:
        write_data(found)
