"""``pai audit verify``."""

import json
from pathlib import Path
from typing import Any

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.exits import EXIT_BY_ERROR
from prometheus_ai.client.session import Client
from prometheus_ai.domain.errors import Corrupted, InvalidInput


@command()
@click.option("--checkpoint", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="An earlier head that the log must still contain.")  # fmt: skip
@as_json
@with_client
def verify(client: Client, checkpoint: Path | None, as_json: bool) -> int:
    """Check every record of the audit log: none edited, deleted or reordered. Exit code 8 if one was.

    Examples:
      pai audit verify
      pai audit verify --checkpoint last-month.json --json
    """
    expected = _read(checkpoint) if checkpoint else None
    with output.progress() as shown:
        shown.step("hashing every record of the log")
        found = client.audit_verify(expected)
    if as_json:
        output.write_json(found)
    elif found.is_intact:
        output.write(f"{found.records} records are intact; root {found.root_hash}")
    else:
        output.write(
            f"the log was changed: {len(found.findings)} findings in {found.records} records"
        )
        for one in found.findings:
            span = (
                f"record {one.first}"
                if one.first == one.last
                else f"records {one.first}-{one.last}"
            )
            output.write(f"  {span}: {one.kind}: {one.detail}")
        if not found.is_complete:
            output.write("  … and more")
    return 0 if found.is_intact else EXIT_BY_ERROR[Corrupted]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InvalidInput(f"{path} is no JSON: {error}") from error
