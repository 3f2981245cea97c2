"""``pai plan``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.records import Record
from prometheus_ai.client.session import Client

REFUSED = 6
"""As a deploy that is refused."""


@command()
@click.argument("what", metavar="NAME|FILE")
@as_json
@with_client
def plan(client: Client, what: str, as_json: bool) -> int:
    """Show the schedule of a rollout: steps, replicas, times, and how long the way back takes.

    For a FILE it is the schedule that a deploy would follow; nothing is changed.
    For a backend NAME it is that of the rollout under way, or of deploying its newest spec once more.
    Exits with 6 when the rollout would be refused, as the deploy would.

    Examples:
      pai plan pai.yaml
      pai plan digits --json | jq '.steps[] | .expected_s'
    """
    found = client.plan(what) if _is_file(what) else client.plan_of(what)
    if as_json:
        output.write_json(found)
    else:
        _write(found)
    return REFUSED if found.refusal else 0


def _is_file(what: str) -> bool:
    return Path(what).suffix in {".yaml", ".yml", ".json"} or Path(what).is_file()


def _write(found: Record) -> None:
    who = f"{found.candidate} takes over from {found.stable}" if found.candidate else (
        f"a deploy would take over from {found.stable}" if found.stable else "the first release"
    )  # fmt: skip
    output.write(f"{found.backend}: {found.strategy}, {who}")
    if found.steps:
        output.write()
        rows = [
            (
                step.what, f"{step.percent:g} %", str(step.candidate_replicas),
                str(step.stable_replicas), span(step.at_least_s), span(step.expected_s),
                "at once" if step.rollback_s == 0 else f"about {span(step.rollback_s)}",
            )
            for step in found.steps
        ]  # fmt: skip
        columns = ("step", "share", "new", "old", "at least", "expected", "way back")
        output.write_table(columns, rows)
    output.write()
    for line in _grounds(found):
        output.write(line)
    for note in found.notes:
        output.write(f"{output.paint('note', 'yellow')}  {note}")
    if found.refusal:
        output.write(f"{output.paint('refused', 'red')}  {found.refusal}")


def _grounds(found: Record) -> list[str]:
    """Return the numbers that the schedule rests on."""
    if found.rate_per_s > 0:
        traffic = (
            f"{found.rate_per_s:.3g} requests/s lately; a verdict takes about"
            f" {found.requests_to_decide:,} requests of the candidate"
        )
    else:
        traffic = "no traffic lately: without requests no verdict comes, and low_traffic decides"
    memory = f"{found.memory_bytes_free / 2**30:.3g} GiB of memory free"
    gpus = f", {found.gpus_free} GPUs free" if found.gpus_free else ""
    return [traffic, f"a replica starts in about {span(found.start_s)}; {memory}{gpus}"]


def span(seconds: float) -> str:
    """Return a time as people say it: ``45 s``, ``12 min``, ``3 h``."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
