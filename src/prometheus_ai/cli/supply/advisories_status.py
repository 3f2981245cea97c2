"""``pai advisories status``."""

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.supply.advisory_words import write_data
from prometheus_ai.client.session import Client


@command()
@as_json
@with_client
def status(client: Client, as_json: bool) -> None:
    """Show what advisory data the gate judges by, and how old it is.

    Examples:
      pai advisories status
    """
    found = client.advisories()
    if as_json:
        output.write_json(found)
    else:
        write_data(found)
