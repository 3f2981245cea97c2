"""``pai rollout``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, reason, with_client
from prometheus_ai.client.session import Client

COMMANDS = ("pause", "resume", "skip", "abort")


@command()
@click.argument("what", type=click.Choice(COMMANDS), metavar="COMMAND")
@click.argument("name")
@reason
@as_json
@with_client
def rollout(client: Client, what: str, name: str, reason: str, as_json: bool) -> None:
    """Pause, resume, skip a step of, or abort the judged rollout of backend NAME.

    COMMAND is pause, resume, skip or abort.
    `pai promote` ends a rollout with all traffic, `pai rollback` without any.

    Examples:
      pai rollout pause digits
      pai rollout skip digits --reason "checked by hand"
    """
    done = client.rollout(name, what, reason=reason)
    if as_json:
        output.write_json(done)
    else:
        output.write(f"{name}/{done.candidate}: {done.phase} at {done.weight:g} %: {done.reason}")
