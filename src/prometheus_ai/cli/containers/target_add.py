"""``pai target add``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, reason, with_client
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@click.option(
    "--docker", "url", is_flag=False, flag_value="unix:///var/run/docker.sock", required=True,
    metavar="[URL]", help="A Docker Engine; the one of this machine when no URL is given.",
)  # fmt: skip
@click.option(
    "--tls", "tls_folder", default="", metavar="FOLDER", help="ca.pem, cert.pem, key.pem."
)
@click.option("--address", default="", metavar="HOST", help="Where the gateway reaches its ports.")
@click.option("--gpus", type=click.IntRange(0, 64), metavar="N", help="GPUs for replicas.")
@click.option("--egress", is_flag=True, help="Let replicas open connections to the outside.")
@click.option("--log-driver", default="json-file", show_default=True, metavar="NAME")
@click.option("--log-opt", "log_options", multiple=True, metavar="KEY=VALUE", help="Repeatable.")
@reason
@as_json
@with_client
def add(
    client: Client,
    name: str,
    url: str,
    tls_folder: str,
    address: str,
    gpus: int | None,
    egress: bool,
    log_driver: str,
    log_options: tuple[str, ...],
    reason: str,
    as_json: bool,
) -> None:
    """Add a place to run: a Docker Engine here or elsewhere.

    Examples:
      pai target add docker --docker
      pai target add lab --docker tcp://lab:2376 --tls ~/.docker/lab
    """
    options = dict(_pair(text) for text in log_options)
    added = client.add_target(
        name, url, tls_folder=tls_folder, address=address, gpus=gpus, allows_egress=egress,
        log_driver=log_driver, log_options=options, reason=reason,
    )  # fmt: skip
    if as_json:
        output.write_json(added)
        return
    size = f"{added.cpus:g} cores, {added.memory_bytes / 2**30:.1f} GiB, {added.gpus} GPUs"
    output.write(f"target {name} added: {size}")
    for note in added.notes:
        output.say(note)


def _pair(text: str) -> tuple[str, str]:
    name, is_there, value = text.partition("=")
    if not is_there:
        raise click.BadParameter(f"{text!r} is no KEY=VALUE", param_hint="--log-opt")
    return name, value
