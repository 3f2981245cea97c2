"""``pai diff``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.session import Client


@command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--exit-code", is_flag=True, help="Exit with 3 when a deploy would change something.")
@as_json
@with_client
def diff(client: Client, file: Path, exit_code: bool, as_json: bool) -> int:
    """Show what deploying FILE would change, without changing anything.

    The spec and the digest of its model are compared with the backend's newest release.

    Examples:
      pai diff pai.yaml
      pai diff pai.yaml --exit-code || pai deploy pai.yaml
    """
    found = client.diff(file)
    if as_json:
        output.write_json(found)
    else:
        base = f"{found.backend}/{found.base}" if found.base else "nothing: this is a new backend"
        output.write(f"compared with {base}")
        for change in found.changes:
            output.write(_line(change.field, change.before, change.after))
        if not found.changes:
            output.write("no changes")
        for message in found.unsupported:
            output.say(output.paint("refused", "red") + f": {message}")
    return 3 if exit_code and found.changes else 0


def _line(field: str, before: object, after: object) -> str:
    if before is None:
        return output.paint(f"+ {field}: {_shown(after)}", "green")
    if after is None:
        return output.paint(f"- {field}: {_shown(before)}", "red")
    return output.paint(f"~ {field}: {_shown(before)} -> {_shown(after)}", "yellow")


def _shown(value: object) -> str:
    text = str(value)
    return text[:19] + "…" if text.startswith("sha256:") else text
