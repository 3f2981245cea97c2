"""``pai token list``."""

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.watch.words import moment
from prometheus_ai.client.session import Client


@command("list")
@as_json
@with_client
def list_tokens(client: Client, as_json: bool) -> None:
    """Show all API tokens, without their secrets.

    Examples:
      pai token list
    """
    found = client.tokens()
    if as_json:
        output.write_json(found)
        return
    rows = [
        (
            one.id,
            one.name,
            one.role,
            moment(one.created_at),
            moment(one.revoked_at) if one.revoked_at else "-",
        )
        for one in found
    ]
    output.write_table(("id", "name", "role", "created", "revoked"), rows)
