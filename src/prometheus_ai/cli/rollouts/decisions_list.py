"""``pai decisions NAME``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.watch.words import moment
from prometheus_ai.client.session import Client

REASON_LEN_MAX = 100


@command()
@click.argument("name")
@click.option("--limit", default=40, show_default=True, metavar="COUNT", help="At most so many.")
@click.option("--id", "number", type=int, metavar="ID", help="One of them, with all it saw.")
@as_json
@with_client
def list_decisions(
    client: Client, name: str, limit: int, number: int | None, as_json: bool
) -> None:
    """Show what was decided about backend NAME: steps, holds, rollbacks, scaling, refusals.

    `list` may be left out.
    A hold that says the same again is stored every 30 seconds.

    Examples:
      pai decisions digits
      pai decisions digits --id 17 --json | jq .inputs.facts
    """
    if number is not None:
        output.write_json(client.decision(name, number))
        return
    found = client.decisions(name, limit=limit)
    if as_json:
        output.write_json(found)
        return
    if not found:
        output.say("nothing was decided yet: rollouts and scaling policies decide")
        return
    rows = [
        (str(one.id), moment(one.at), one.version or "-", one.decider, one.act, _short(one.reason))
        for one in found
    ]
    output.write_table(("id", "at", "release", "decider", "act", "reason"), rows)


def _short(text: str) -> str:
    return text if len(text) <= REASON_LEN_MAX else text[: REASON_LEN_MAX - 1] + "…"
