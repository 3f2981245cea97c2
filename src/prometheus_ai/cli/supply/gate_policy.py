"""``pai gate policy``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command
from prometheus_ai.cli.connection import home_of
from prometheus_ai.compose.gate import check_policy, policy_path, policy_text
from prometheus_ai.compose.settings import load_settings


@command()
@click.option("--strict", is_flag=True, help="Print the policy for production instead.")
@click.option(
    "--check", "path", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Read a file strictly and name every problem.",
)  # fmt: skip
@click.pass_context
def policy(ctx: click.Context, strict: bool, path: Path | None) -> None:
    """Print the policy in force on this machine, or check a file.

    Examples:
      pai gate policy
      pai gate policy --strict > ~/.pai/policy.yaml
      pai gate policy --check policy.yaml
    """
    if path is not None:
        output.write(f"{path} is valid; sections: {check_policy(path)}")
        return
    settings = load_settings(home=home_of(ctx))
    output.write(policy_text(settings, strict=strict).rstrip("\n"))
    output.say(f"the policy file of this installation is {policy_path(settings)}")
