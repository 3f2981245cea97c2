"""``pai doctor``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command
from prometheus_ai.cli.connection import home_of
from prometheus_ai.cli.exits import EXIT_BY_ERROR
from prometheus_ai.cli.machine.processes import living
from prometheus_ai.compose.doctor import Finding, examine
from prometheus_ai.compose.settings import load_settings
from prometheus_ai.domain.errors import Unavailable


@command()
@click.option("--index", "with_index", is_flag=True, help="Also resolve a package at the index.")
@as_json
@click.pass_context
def doctor(ctx: click.Context, with_index: bool, as_json: bool) -> int:
    """Check this machine and this home folder, and say what to fix. Exit code 9 when something fails.

    Examples:
      pai doctor
      pai doctor --index
    """
    settings = load_settings(home=home_of(ctx))
    running = {known.name: known.pid for known in living(settings.run)}
    findings = examine(settings, running, with_index=with_index)
    if as_json:
        output.write_json([_as_json(one) for one in findings])
    else:
        for one in findings:
            state = output.paint_state(one.state)
            output.write(f"{state}{' ' * (5 - len(one.state))}{one.name:<14}{one.detail}")
            if one.fix:
                output.write(f"     {'':<14}{output.paint(one.fix, 'cyan')}")
    has_failed = any(one.state == "fail" for one in findings)
    return EXIT_BY_ERROR[Unavailable] if has_failed else 0


def _as_json(finding: Finding) -> dict[str, str]:
    return {
        "name": finding.name,
        "state": finding.state,
        "detail": finding.detail,
        "fix": finding.fix,
    }
