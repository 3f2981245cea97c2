"""``pai decisions replay``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.session import Client

DIFFERS = 1


@command()
@click.argument("name")
@click.argument("number", type=int, required=False, metavar="[ID]")
@as_json
@with_client
def replay(client: Client, name: str, number: int | None, as_json: bool) -> int:
    """Make the decisions about backend NAME again from what they saw, and compare the answers.

    Without ID all that are kept are made again.
    Exits with 1 when an answer differs; the program may have changed since.

    Examples:
      pai decisions replay digits
      pai decisions replay digits 17
    """
    found = client.replay_decisions(name, number)
    different = [one for one in found if not one.is_same]
    if as_json:
        output.write_json(found)
    else:
        for one in different:
            said = one.decision
            output.write(
                f"{output.paint('differs', 'red')}  {said.id} {said.decider} {said.act}: {one.difference}"
            )
        output.write(f"{len(found)} decisions made again, {len(different)} differ")
    return DIFFERS if different else 0
