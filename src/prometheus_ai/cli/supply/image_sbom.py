"""``pai image sbom``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command
from prometheus_ai.compose.gate import image_sbom


@command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), metavar="IMAGE")
def sbom(path: Path) -> None:
    """Print the packages of a saved IMAGE as CycloneDX 1.6 JSON.

    Examples:
      pai image sbom image.tar > image.cdx.json
    """
    output.write(image_sbom(path).decode().rstrip("\n"))
