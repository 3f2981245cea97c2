"""``pai token revoke``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.session import Client


@command()
@click.argument("token_id", metavar="ID")
@as_json
@with_client
def revoke(client: Client, token_id: str, as_json: bool) -> None:
    """Make the token with this ID useless at once.

    Examples:
      pai token revoke 1f2e3d4c
    """
    revoked = client.revoke_token(token_id)
    if as_json:
        output.write_json(revoked)
    else:
        output.write(f"token {revoked.id} of {revoked.name} is revoked")
