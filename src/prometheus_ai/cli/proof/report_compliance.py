"""``pai report compliance``."""

import json
from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.proof.compliance_page import page
from prometheus_ai.client.session import Client
from prometheus_ai.domain.errors import Conflict


@command()
@click.argument("name")
@click.option(
    "--out", "target", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write a page (.html) or data (.json) instead of a summary.",
)  # fmt: skip
@as_json
@with_client
def compliance(client: Client, name: str, target: Path | None, as_json: bool) -> None:
    """Report what runs of backend NAME, from what, who approved it, and which controls that meets.

    Controls are those of CIS Docker, NIST SSDF and SLSA; each answer names its proof: records of the
    audit log and digests.

    Examples:
      pai report compliance digits
      pai report compliance digits --out digits.html
      pai report compliance digits --json
    """
    found = client.compliance(name)
    if target is not None:
        if target.exists():
            raise Conflict(f"{target} exists", hint="choose another file")
        text = json.dumps(found, indent=1) if target.suffix == ".json" else page(found)
        target.write_text(text, "utf-8")
        output.write(str(target))
        return
    if as_json:
        output.write_json(found)
        return
    for release in found.releases:
        output.write(
            f"{found.backend} {release.version} on {release.target}, {release.weight:g} % of traffic"
        )
        if release.flag:
            output.write(f"  {output.paint('flagged', 'yellow')}  {release.flag}")
        rows = [(one.framework, one.id, one.state, one.title, one.why) for one in release.controls]
        output.write_table(("framework", "control", "state", "what it asks", "why"), rows)
    output.write(f"audit log: {found.log_size} records, root {found.log_root}")
