"""``pai audit export``."""

import sys
from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command, with_client
from prometheus_ai.client.session import Client


@command()
@click.option("--output", "path", type=click.Path(path_type=Path), help="Write to a file instead.")
@with_client
def export(client: Client, path: Path | None) -> None:
    """Write the audit log as JSON lines that others can verify.

    Examples:
      pai audit export > audit.jsonl
      pai audit export --output audit.jsonl
    """
    lines = client.audit_export()
    if path is None:
        for line in lines:
            sys.stdout.write(line + "\n")
        return
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(line + "\n")
            count += 1
    output.say(f"wrote {count} lines to {path}")
