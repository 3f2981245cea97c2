"""``pai target list``."""

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.session import Client


@command("list")
@as_json
@with_client
def list_targets(client: Client, as_json: bool) -> None:
    """Show every place to run, and whether it can be used now.

    Examples:
      pai target list
    """
    found = client.targets()
    if as_json:
        output.write_json(found)
        return
    rows = [
        [
            target.name,
            output.paint_state("ok") if target.state == "ok" else output.paint_state("fail"),
            f"{target.cpus:g}",
            f"{target.memory_bytes / 2**30:.1f} GiB",
            str(target.gpus),
            str(target.replicas),
            target.url or "this machine",
        ]
        for target in found
    ]
    output.write_table(["target", "state", "cores", "memory", "gpus", "replicas", "where"], rows)
    for target in found:
        for note in ([] if target.state == "ok" else [target.state]) + list(target.notes):
            output.say(f"{target.name}: {note}")
