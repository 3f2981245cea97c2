"""``pai key create``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command
from prometheus_ai.compose.signing import make_key


@command()
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
def create(path: Path) -> None:
    """Write a new private key (ECDSA P-256) to FILE and print its public half, for the policy.

    The file is encrypted with PAI_KEY_PASSWORD where that is set.

    Examples:
      pai key create release.pem > release.pub
    """
    output.write(make_key(path).rstrip("\n"))
    output.say(f"wrote {path}; put the public half under keys: in the policy")
