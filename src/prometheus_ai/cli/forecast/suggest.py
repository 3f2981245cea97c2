"""``pai suggest``."""

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.records import Record
from prometheus_ai.client.session import Client


@command()
@click.argument("name")
@click.option(
    "--version", metavar="VERSION", help="A release  [default: the one with most traffic]"
)
@click.option("--slo-ms", type=float, metavar="MS", help="Latency objective  [default: the spec's]")
@click.option(
    "--price", type=float, default=1.0, show_default=True, help="Of a replica for an hour."
)
@click.option("--busy-price", type=float, help="Of a busy second, where one pays by it.")
@as_json
@with_client
def suggest(
    client: Client,
    name: str,
    version: str | None,
    slo_ms: float | None,
    price: float,
    busy_price: float | None,
    as_json: bool,
) -> None:
    """Suggest what backend NAME should be given: replicas, CPU, memory, batching, sleep.

    Every suggestion comes from what was measured, and says which risk it carries. Nothing is changed.

    Examples:
      pai suggest digits
      pai suggest digits --slo-ms 50 --json | jq '.suggestions[] | {setting, value}'
    """
    found = client.suggest(
        name, version, slo_s=slo_ms / 1000 if slo_ms else None, replica_hour=price,
        busy_second=busy_price,
    )  # fmt: skip
    if as_json:
        output.write_json(found)
        return
    _write(found)


def _write(found: Record) -> None:
    output.write_fields(
        {
            "release": f"{found.backend}/{found.version}",
            "traffic": f"{found.rate_per_s:.3g} requests/s over {_span(found.span_s)},"
            f" {found.peak_per_s:.3g} at the peak",
            "objective": f"{found.slo_s * 1000:.0f} ms" if found.slo_s else "unknown",
        }
    )
    output.write()
    rows = [(one.setting, _value(one), one.why, one.risk) for one in found.suggestions]
    output.write_table(("setting", "value", "why", "risk"), rows)
    if found.sleep:
        output.write()
        output.write_table(
            ("asleep after", "requests that wait for a start", "time paid for"),
            [
                (f"{one.idle_s:g} s", f"{one.cold_share:.2%}", f"{one.awake_share:.0%}")
                for one in found.sleep
            ],
            "Sleeping, by this backend's own requests",
        )
        rate = found.break_even_per_s
        output.write(
            "paying by the busy second is always cheaper"
            if rate is None
            else f"always-on is cheaper above {rate:.3g} requests/s than paying by the busy second;"
            f" here are {found.rate_per_s:.3g}"
        )
    for line in found.missing:
        output.say(f"missing: {line}")


def _value(one: Record) -> str:
    if one.setting == "resources.memory":
        return f"{one.value / 2**20:.0f}Mi"
    if one.setting == "scaling.idle_s" and one.value == 0:
        return "stay awake"
    return f"{one.value:g}"


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
