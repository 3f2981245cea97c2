"""``pai why``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@as_json
@with_client
def why(client: Client, name: str, as_json: bool) -> None:
    """Explain backend NAME: what runs, what is wanted, why they differ, what happens next.

    Examples:
      pai why digits
      pai why digits --json | jq .differences
    """
    found = client.why(name)
    if as_json:
        output.write_json(found)
        return
    for title, lines in (("wanted", found.wanted), ("running", found.running)):
        _write_section(title, lines)
    if found.differences:
        output.write(output.paint("differs", "yellow"))
        for one in found.differences:
            output.write(f"  {one.what}: wanted {one.wanted}, is {one.actual}")
            output.write(f"    because {one.why}")
            output.write(f"    next: {one.next}")
    _write_section("next", found.next)
    _write_section("recently", found.recent)


def _write_section(title: str, lines: list[str]) -> None:
    output.write(output.paint(title, "bold"))
    for line in lines or ["nothing"]:
        output.write(f"  {line}")
