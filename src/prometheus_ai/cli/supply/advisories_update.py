"""``pai advisories update``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.supply.advisory_words import write_data
from prometheus_ai.client.session import Client


@command()
@click.argument("url")
@as_json
@with_client
def update(client: Client, url: str, as_json: bool) -> None:
    """Let the control plane download an archive from URL: OSV's own, or your mirror's.

    Examples:
      pai advisories update https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip
    """
    found = client.update_advisories(url)
    if as_json:
        output.write_json(found)
    else:
        write_data(found)
