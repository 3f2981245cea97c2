"""``pai image plan``."""

from pathlib import Path

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.containers.options import on_target, spec_file
from prometheus_ai.client.session import Client

PACKAGES_SHOWN = 6


@command()
@spec_file
@on_target
@as_json
@with_client
def plan(client: Client, file: Path, target: str, as_json: bool) -> None:
    """Show what would be built for the spec in FILE, and why; nothing is built.

    Examples:
      pai image plan pai.yaml
    """
    found = client.image_plan(file, target=target)
    if as_json:
        output.write_json(found)
        return
    output.write(f"{found.tag} on {found.base.reference}")
    rows = [[stage.name, stage.does, _few(stage.packages)] for stage in found.stages]
    output.write_table(["stage", "does", "packages"], rows)
    for note in found.notes:
        output.write(f"- {note}")
    output.write(f"plan {found.digest}")


def _few(packages: list[str]) -> str:
    more = len(packages) - PACKAGES_SHOWN
    return ", ".join(packages[:PACKAGES_SHOWN]) + (f" and {more} more" if more > 0 else "")
