"""``pai model scan``."""

from dataclasses import asdict
from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command
from prometheus_ai.cli.exits import EXIT_BY_ERROR
from prometheus_ai.compose.gate import scan_file
from prometheus_ai.domain.errors import Refused


@command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), metavar="FILE")
@click.option("--allow", multiple=True, metavar="NAME", help="A callable to allow, as module.name.")
@as_json
def scan(path: Path, allow: tuple[str, ...], as_json: bool) -> int:
    """Say what loading the model FILE (or folder) would run, without loading it. Exit code 6 if unsafe.

    Examples:
      pai model scan model.joblib
      pai model scan ./model --json
    """
    found = scan_file(path, allow)
    if as_json:
        output.write_json(asdict(found) | {"is_clean": found.is_clean})
    else:
        what = ", ".join(found.formats) or "no known format"
        output.write(f"{path}: {what}; {found.bytes_read} of {found.bytes_total} bytes understood")
        for one in found.findings:
            where = f" at {one.where}" if one.where else ""
            output.write(f"  {output.paint(one.kind, 'red')}  {one.file}: {one.message}{where}")
        output.write(output.paint("clean", "green") if found.is_clean else "not safe to load")
    return 0 if found.is_clean else EXIT_BY_ERROR[Refused]
