"""``pai image build``."""

from pathlib import Path

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.containers.options import on_target, spec_file
from prometheus_ai.client.records import Record
from prometheus_ai.client.session import Client


@command()
@spec_file
@on_target
@as_json
@with_client
def build(client: Client, file: Path, target: str, as_json: bool) -> None:
    """Build the image that a deploy of the spec in FILE would run.

    Steps, bytes and what the cache had are shown as they happen.
    With --json each is a line of JSON with `event`; the last line has `built`.

    Examples:
      pai image build pai.yaml
      pai image build pai.yaml --json | jq .built
    """
    if as_json:
        built = client.image_build(
            file, target=target, on_event=lambda event: output.write_json_line({"event": event})
        )
        output.write_json_line({"built": built})
        return
    with output.progress() as shown:
        built = client.image_build(file, target=target, on_progress=shown.step)
    show_build(built)


def show_build(built: Record) -> None:
    """Write one build: its steps, its layers, what the cache saved."""
    rows = [
        [step.name, "cached" if step.is_cached else f"{step.took_s:.1f} s"] for step in built.steps
    ]
    output.write_table(["step", "took"], rows)
    layers = [[f"{layer.size_bytes / 1e6:.1f} MB", layer.made_by[:80]] for layer in built.layers]
    output.write_table(["layer", "made by"], layers)
    saved = f", cache saved {built.saved_s:.1f} s" if built.saved_s else ""
    size = f"{built.size_bytes / 1e6:.0f} MB"
    output.write(f"{built.tag} {built.image[:19]}: {size} in {built.took_s:.1f} s{saved}")
