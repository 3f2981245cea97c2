"""``pai deploy``."""

from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, reason, with_client
from prometheus_ai.client.session import WAIT_TIMEOUT_S, Client


@command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--wait", is_flag=True, help="Return once the release is served, or failed.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0), default=WAIT_TIMEOUT_S,
    show_default=True, metavar="SECONDS", help="Longest --wait.",
)  # fmt: skip
@click.option(
    "--weight", type=click.IntRange(0, 100), metavar="N",
    help="Percent of traffic for the release  [default: route.weight of the spec]",
)  # fmt: skip
@click.option("--relock", is_flag=True, help="Resolve the requirements again.")
@reason
@as_json
@with_client
def deploy(
    client: Client,
    file: Path,
    wait: bool,
    timeout_s: float,
    weight: int | None,
    relock: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Make a release of the spec in FILE and give it traffic once it is ready.

    Deploying the same spec and model twice changes nothing.
    Until the release is ready, traffic stays where it is; it stays there when the release fails.

    Examples:
      pai deploy pai.yaml --wait
      pai deploy pai.yaml --weight 10 --reason "retrained"
    """
    with output.progress() as shown:
        deployed = client.deploy(
            file,
            wait=timeout_s if wait else False,
            weight=weight,
            relock=relock,
            reason=reason,
            on_progress=shown.step,
        )
    name = f"{deployed.backend}/{deployed.version}"
    if as_json:
        output.write_json(deployed)
    elif not deployed.changed:
        output.write(f"{name} is deployed already: nothing changed")
    else:
        output.write(f"{name} {'deployed' if wait else 'accepted'}")
    if not wait and deployed.changed:
        output.say(f"follow it with: pai status {deployed.backend}")
