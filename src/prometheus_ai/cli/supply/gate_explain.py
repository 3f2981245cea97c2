"""``pai gate explain``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.exits import EXIT_BY_ERROR
from prometheus_ai.client.session import Client
from prometheus_ai.domain.errors import Corrupted

_COLOURS = {"pass": "green", "warn": "yellow", "refuse": "red", "skip": "dim"}


@command()
@click.argument("name")
@click.option("--version", "version_", metavar="VERSION", help="A version instead of the newest.")
@click.option("--evidence", is_flag=True, help="Show everything that each rule saw.")
@as_json
@with_client
def explain(client: Client, name: str, version_: str | None, evidence: bool, as_json: bool) -> int:
    """Show each rule of the gate's latest decision about backend NAME, with its evidence.

    Examples:
      pai gate explain digits
      pai gate explain digits --version v2 --evidence
    """
    found = client.gate(name, version_)
    if as_json:
        output.write_json(found)
        return 0
    word = output.paint("allowed", "green") if found.allowed else output.paint("refused", "red")
    output.write(f"{found.backend} {found.version} on {found.target}: {word} by {found.section!r}")
    for rule in found.rules:
        state = output.paint(rule.outcome.ljust(6), _COLOURS[rule.outcome])
        output.write(f"  {state}  {rule.rule}: {rule.message}")
        if evidence or rule.outcome in ("refuse", "warn"):
            for line in rule.evidence:
                output.write(f"            {line}")
        if rule.hint and rule.outcome != "pass":
            output.write(f"            hint: {rule.hint}")
    output.write(f"decided {found.at}; policy {found.policy_digest}; record {found.document}")
    if not found.replays:
        output.say(
            "deciding again from the record gives another answer: the record or rules changed"
        )
        return EXIT_BY_ERROR[Corrupted]
    return 0
