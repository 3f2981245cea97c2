"""``pai gate diff``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.records import Record
from prometheus_ai.client.session import Client

SHOWN_MAX = 40


@command()
@click.argument("name")
@click.option("--since", metavar="VERSION", help="The earlier release; the one before by default.")
@click.option("--version", "version_", metavar="VERSION", help="The later release; the newest.")
@as_json
@with_client
def diff(client: Client, name: str, since: str | None, version_: str | None, as_json: bool) -> None:
    """Show which weaknesses and packages came and went between two releases of backend NAME.

    Both are judged by today's advisories.

    Examples:
      pai gate diff digits
      pai gate diff digits --since v1 --version v4
    """
    found = client.gate_changes(name, since=since, version=version_)
    if as_json:
        output.write_json(found)
        return
    changes = found.changes
    output.write(f"{found.backend} {found.since} → {found.version}")
    if not found.advisories:
        output.write("weaknesses: unknown, there is no advisory database (`pai advisories import`)")
    else:
        output.write(
            f"weaknesses: {len(changes.came)} came, {len(changes.went)} went, {changes.stayed} stayed"
        )
        _write("+", "red", changes.came)
        _write("-", "green", changes.went)
    output.write(f"packages: {len(changes.packages)} changed")
    for one in changes.packages[:SHOWN_MAX]:
        output.write(f"  {one.name}: {one.before or 'none'} → {one.after or 'none'}")


def _write(mark: str, colour: str, found: list[Record]) -> None:
    for one in found[:SHOWN_MAX]:
        exploited = " known exploited" if one.is_known_exploited else ""
        fix = f"fixed in {', '.join(one.fixed_in)}" if one.fixed_in else "no fix"
        output.write(
            f"  {output.paint(mark, colour)} {one.severity} {one.id}{exploited}  "
            f"{one.package} {one.version}, {fix}"
        )
