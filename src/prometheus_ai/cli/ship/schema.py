"""``pai schema``."""

import json
from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command
from prometheus_ai.cli.ship.files import write_text
from prometheus_ai.control.intake.spec_files import spec_schema


@command()
@click.option("--output", "path", type=click.Path(path_type=Path), help="Write to a file instead.")
def schema(path: Path | None) -> None:
    """Print the JSON Schema of specs, so that editors complete and check pai.yaml.

    Examples:
      pai schema --output pai.schema.json
      # then, as the first line of pai.yaml:
      # yaml-language-server: $schema=./pai.schema.json
    """
    if path is None:
        output.write_json(spec_schema())
        return
    write_schema(path)
    output.say(f"wrote {path}")


def write_schema(path: Path) -> None:
    """Write the schema to a file."""
    write_text(path, json.dumps(spec_schema(), indent=2) + "\n")
