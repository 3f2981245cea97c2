"""``pai simulate``."""

from dataclasses import asdict
from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command
from prometheus_ai.cli.connection import Connection
from prometheus_ai.cli.ship.files import write_text
from prometheus_ai.client.session import Client
from prometheus_ai.control.advise.simulation import Asked, Contender, Simulated, run_simulation
from prometheus_ai.control.intake.spec_files import read_spec
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.simulate import TRAFFIC_FORMS, page, sparkline

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_COLUMNS = ("scaler", "requests", "missed", "p50", "p95", "p99", "held", "starts",
            "replica-seconds", "most", "cost")  # fmt: skip


@command()
@click.option("--spec", "specs", type=_FILE, multiple=True, required=True, help="Spec; repeatable.")
@click.option("--trace", type=_FILE, help="One arrival a line: seconds, or seconds,count.")
@click.option("--recorded", metavar="NAME", help="A backend's own traffic and measured replica.")
@click.option("--traffic", metavar="FORM", help=f"Synthetic: {TRAFFIC_FORMS}.")
@click.option("--minutes", type=float, default=30, show_default=True, help="Of synthetic traffic.")
@click.option("--against", multiple=True, metavar="OTHER", help="A spec, knative, hpa or fixed:N.")
@click.option("--curve", metavar="ROWS:MS,…", help="Service times, such as 1:20,32:100.")
@click.option("--start-s", type=float, help="From start to ready  [default: measured]")
@click.option("--slo-ms", type=float, help="What counts as missed  [default: 3 × one row]")
@click.option(
    "--price", type=float, default=1.0, show_default=True, help="Of a replica for an hour."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page.")
@as_json
@click.pass_context
def simulate(ctx: click.Context, /, as_json: bool, html: Path | None, **options: object) -> None:
    """Play traffic against specs on a virtual clock, with the deciders that run in production.

    Examples:
      pai simulate --traffic diurnal:5:80 --spec pai.yaml --against knative --against fixed:12
      pai simulate --recorded digits --spec pai.yaml --against other.yaml --html forecast.html
      pai simulate --trace arrivals.txt --spec pai.yaml --curve 1:20,32:100 --json
    """
    found = run_simulation(_asked(ctx, options))
    if html is not None:
        title = f"Simulation: {found.trace}"
        write_text(html, page(title, found.rows, _words(found), found.verdicts))
        output.say(f"{html} written")
    if as_json:
        output.write_json(_plain(found))
    else:
        _write(found)


def _asked(ctx: click.Context, options: dict[str, object]) -> Asked:
    given = [name for name in ("trace", "recorded", "traffic") if options[name] is not None]
    if len(given) != 1:
        raise InvalidInput(
            f"one kind of traffic is simulated at a time, not {len(given)}",
            hint="give one of --trace FILE, --recorded NAME and --traffic FORM",
        )
    trace, slo_ms = options["trace"], options["slo_ms"]
    recording = None
    if options["recorded"] is not None:
        connection = ctx.find_object(Connection) or Connection()
        with Client(url=connection.url, home=connection.home) as client:
            recording = client.recording(str(options["recorded"]))
    specs, others = options["specs"], options["against"]
    assert isinstance(specs, tuple)
    assert isinstance(others, tuple)
    return Asked(
        contenders=(*map(_of_file, specs), *map(_of_word, others)),
        trace_lines=trace.read_text().splitlines() if isinstance(trace, Path) else None,
        traffic=str(options["traffic"]) if options["traffic"] else None,
        recording=recording,
        curve=_curve(str(options["curve"] or "")),
        start_s=_number(options["start_s"]),
        duration_s=60 * (_number(options["minutes"]) or 0.0),
        slo_s=(_number(slo_ms) or 0.0) / 1000 or None,
        price_per_hour=_number(options["price"]) or 0.0,
        seed=int(_number(options["seed"]) or 0),
    )


def _of_file(path: Path) -> Contender:
    return Contender(label=path.name, spec=read_spec(path.read_text(), str(path)))


def _of_word(word: str) -> Contender:
    return _of_file(Path(word)) if Path(word).is_file() else Contender(label=word)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _curve(text: str) -> tuple[tuple[int, float], ...]:
    if not text:
        return ()
    try:
        points = [point.split(":") for point in text.split(",")]
        return tuple((int(rows), float(ms) / 1000) for rows, ms in points)
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is no curve", hint="write ROWS:MS, such as 1:20,32:100"
        ) from error


def _words(found: Simulated) -> list[str]:
    rate = found.requests / found.duration_s if found.duration_s else 0.0
    points = ", ".join(f"{rows}: {1000 * s:.3g} ms" for rows, s in found.curve[:6])
    line = (
        f"{found.requests} requests in {found.duration_s:.0f} s ({rate:.3g}/s); missed above"
        f" {1000 * found.slo_s:.0f} ms; a start takes {found.start_s:.3g} s; batches take {points}"
    )
    return [line, *found.assumed]


def _write(found: Simulated) -> None:
    for line in _words(found):
        output.write(line)
    rows = [
        (
            row.scaler, str(row.requests), f"{row.misses} ({row.miss_share:.2%})",
            f"{row.p50_ms:.1f} ms", f"{row.p95_ms:.1f} ms", f"{row.p99_ms:.1f} ms", str(row.held),
            str(row.starts), f"{row.replica_s:.0f}", str(row.replicas_max), f"{row.cost:.3g}",
        )
        for row in found.rows
    ]  # fmt: skip
    output.write()
    output.write_table(_COLUMNS, rows)
    output.write()
    width = max(len(row.scaler) for row in found.rows)
    for row in found.rows:
        counts = [float(count) for _, count, _ in row.timeline]
        output.write(
            f"{row.scaler:{width}}  replicas  {sparkline(counts)}  most {row.replicas_max}"
        )
    for spec, verdicts in found.verdicts.items():
        output.write()
        output.write_table(
            ("candidate", "becomes", "first verdict", "ended after", "requests harmed"),
            [
                (
                    one.candidate, one.outcome,
                    "-" if one.first_verdict_s is None else f"{one.first_verdict_s:.0f} s",
                    f"{one.took_s:.0f} s", str(one.harmed),
                )
                for one in verdicts
            ],
            f"A rollout of {spec} at this traffic",
        )  # fmt: skip


def _plain(found: Simulated) -> dict[str, object]:
    plain = asdict(found)
    for row, kept in zip(plain["rows"], found.rows, strict=True):
        row["miss_share"] = round(kept.miss_share, 6)
    return plain
