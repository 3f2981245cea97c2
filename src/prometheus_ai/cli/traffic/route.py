"""``pai route``."""

import click

from prometheus_ai.cli.connect import as_json, command, reason, with_client
from prometheus_ai.cli.traffic.shifted import tell
from prometheus_ai.client.session import Client
from prometheus_ai.domain.errors import InvalidInput


@command()
@click.argument("name")
@click.argument("weights", nargs=-1, required=True, metavar="VERSION=PERCENT...")
@reason
@as_json
@with_client
def route(client: Client, name: str, weights: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Split the traffic of backend NAME between releases, in percent that sum to 100.

    Examples:
      pai route digits v1=90 v2=10
      pai route digits v2=100 --reason "v1 is too slow"
    """
    tell(client.route(name, _parsed(weights), reason=reason), as_json=as_json)


def _parsed(words: tuple[str, ...]) -> dict[str, float]:
    percent: dict[str, float] = {}
    for word in words:
        version, _, share = word.partition("=")
        try:
            number = float(share.removesuffix("%"))
        except ValueError:
            raise InvalidInput(
                f"{word!r} is not VERSION=PERCENT", hint="for example: pai route NAME v1=90 v2=10"
            ) from None
        if version in percent:
            raise InvalidInput(f"{version} is named twice")
        percent[version] = number
    return percent
