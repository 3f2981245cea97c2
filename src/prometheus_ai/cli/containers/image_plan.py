"""``pai image plan``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.containers.options import on_target, spec_file
from prometheus_ai.client.records import Record
from prometheus_ai.client.session import Client

PACKAGES_SHOWN = 6


@command()
@spec_file
@click.option("--base", "bases", is_flag=True, help="Compare slim, full and alpine instead.")
@on_target
@as_json
@with_client
def plan(client: Client, file: Path, bases: bool, target: str, as_json: bool) -> None:
    """Show what would be built for the spec in FILE, and why; nothing is built.

    With --base it compares base images by the wheels that the index has for the locked packages.

    Examples:
      pai image plan pai.yaml
      pai image plan pai.yaml --base
    """
    if bases:
        advice = client.image_bases(file, target=target)
        output.write_json(advice) if as_json else _write_bases(advice)
        return
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


def _write_bases(advice: Record) -> None:
    rows = [
        [
            one.offer.name,
            one.offer.reference,
            f"{one.offer.size_bytes / 1e6:.0f} MB{'' if one.offer.is_measured else ' (usual)'}",
            f"{one.packages_bytes / 1e6:.0f} MB",
            "fits" if one.fits else "does not fit",
            "; ".join(one.why),
        ]
        for one in advice.judgements
    ]
    names = ["base", "image", "size", "downloads", "", "why"]
    output.write_table(names, rows)
    output.write(f"take {advice.chosen}: {advice.why}" if advice.chosen else advice.why)


def _few(packages: list[str]) -> str:
    more = len(packages) - PACKAGES_SHOWN
    return ", ".join(packages[:PACKAGES_SHOWN]) + (f" and {more} more" if more > 0 else "")
