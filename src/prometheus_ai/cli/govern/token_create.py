"""``pai token create``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@click.option("--role", type=click.Choice(("viewer", "deployer", "admin")), default="viewer",
              show_default=True, help="What the token may do.")  # fmt: skip
@as_json
@with_client
def create(client: Client, name: str, role: str, as_json: bool) -> None:
    """Make an API token called NAME. Its secret is shown once and kept nowhere.

    Examples:
      pai token create ci --role deployer
      export PAI_TOKEN=$(pai token create notebook --json | jq -r .secret)
    """
    made = client.create_token(name, role)
    if as_json:
        output.write_json(made)
        return
    output.write(made.secret)
    output.say(f"token {made.token.id} of {name}, a {role}; this is the only time it is shown")
