"""``pai image analyze``."""

import re
import shlex
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command
from prometheus_ai.cli.connection import Connection
from prometheus_ai.cli.exits import EXIT_BY_ERROR
from prometheus_ai.client.session import Client
from prometheus_ai.compose.images import Wish, analysis_page, analyze_image
from prometheus_ai.domain.errors import PlatformError, Refused
from prometheus_ai.domain.image_contents import ImageAnalysis, Proof, Risk

PACKAGES_SHOWN = 12
DEFAULT_ENGINE = "unix:///var/run/docker.sock"
_BACKEND = re.compile(r"^[a-z0-9][a-z0-9-]*$")
_RISK_COLOURS = {Risk.LOW: "green", Risk.MEDIUM: "yellow", Risk.HIGH: "red"}
_VERDICTS = {
    "safe": ("green", "safe: imports and predictions work as before"),
    "imports-only": ("yellow", "imports work as before; give --predict to try predictions too"),
    "breaks": ("red", "breaks: nothing of it is safe to leave out"),
}


@command()
@click.argument("image", metavar="IMAGE_OR_BACKEND")
@click.option(
    "--html", "html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write a page with a map of the bytes.",
)  # fmt: skip
@click.option("--prove", is_flag=True, help="Rebuild the image without what can go, and try it.")
@click.option(
    "--risk", type=click.Choice([one.value for one in Risk]), default="low", show_default=True,
    help="With --prove: the riskiest suggestions to try.",
)  # fmt: skip
@click.option(
    "--predict", "predict", metavar="COMMAND",
    help="With --prove: what predicts in an image that is not ours; code 0 is success.",
)  # fmt: skip
@click.option(
    "--engine", envvar="DOCKER_HOST", default=DEFAULT_ENGINE, show_default=True, metavar="URL",
    help="The Docker Engine that has the image.",
)  # fmt: skip
@as_json
def analyze(image: str, html: Path | None, as_json: bool, **asked: Any) -> int:
    """Say what any image is made of, what of it could go, and what is wrong with it.

    A file is read as a saved image, a name first as a backend and then as an image of the engine.
    With --prove the command ends with code 6 when the trimmed image does not work.

    Examples:
      pai image analyze digits --html digits.html
      pai image analyze registry.example.org/app:1 --prove --predict "python -m app.selftest"
      docker save app:1 -o app.tar && pai image analyze app.tar --json
    """
    path = Path(image)
    wish = Wish(
        name=image,
        archive=path if path.exists() else None,
        reference="" if path.exists() else _image_of(image),
        engine=asked["engine"],
        proves=asked["prove"],
        risk=Risk(asked["risk"]),
        command=tuple(shlex.split(asked["predict"] or "")),
    )
    with output.progress() as shown:
        found = analyze_image(wish, shown.step)
    if html is not None:
        html.write_text(analysis_page(found), "utf-8")
        output.say(f"wrote {html}")
    if as_json:
        output.write_json(asdict(found) | {"saves_bytes": found.saves_bytes})
    else:
        _write(found)
    breaks = found.proof is not None and found.proof.verdict == "breaks"
    return EXIT_BY_ERROR[Refused] if breaks else 0


def _image_of(name: str) -> str:
    """Return the image that was last built for a backend, or the name itself."""
    if not _BACKEND.match(name):
        return name
    connection = click.get_current_context().find_object(Connection) or Connection()
    # Images are also looked into where no platform runs.
    with suppress(PlatformError), Client(url=connection.url, home=connection.home) as client:
        built = client.image_history(name)
        if built:
            return str(built[-1].image)
    return name


def _write(found: ImageAnalysis) -> None:
    output.write(
        f"{found.name} {found.image[:19]}: {_mb(found.size_bytes)} in {len(found.layers)} layers, "
        f"{_mb(found.live_bytes)} seen, {_mb(found.dead_bytes)} dead, "
        f"{_mb(found.duplicate_bytes)} twice; {_mb(found.saves_bytes)} could go"
    )
    rows = [
        [str(number), _mb(one.size_bytes), _mb(one.dead_bytes), str(one.files), one.made_by[:70]]
        for number, one in enumerate(found.layers, 1)
    ]
    output.write_table(["layer", "size", "dead", "files", "made by"], rows)
    rows = [
        [one.name, one.version[:24], one.kind, _mb(one.size_bytes), str(one.layer)]
        for one in found.packages[:PACKAGES_SHOWN]
    ]
    output.write_table(["package", "version", "kind", "size", "layer"], rows)
    for one in found.suggestions:
        risk = output.paint(f"{one.risk.value} risk".ljust(11), _RISK_COLOURS[one.risk])
        saves = _mb(one.saves_bytes) if one.saves_bytes else f"{_mb(one.rebuilds_bytes)} each edit"
        output.write(f"{saves.rjust(9)}  {risk}  {one.title}")
        output.write(f"           {one.why}")
        output.write(f"           instead: {one.remedy}")
    for finding in found.findings:
        word = output.paint(finding.severity.value.ljust(6), _RISK_COLOURS[finding.severity])
        where = f" ({finding.where})" if finding.where else ""
        output.write(f"{word}  {finding.kind}: {finding.message}{where}")
        output.write(f"        instead: {finding.remedy}")
    if found.proof is not None:
        _write_proof(found.proof)


def _write_proof(proof: Proof) -> None:
    colour, words = _VERDICTS[proof.verdict]
    output.write(output.paint(words, colour))
    output.write(f"{_mb(proof.size_before_bytes)} became {_mb(proof.size_after_bytes)}")
    output.write(f"applied: {', '.join(proof.applied) or 'nothing'}")
    if proof.left_out:
        output.write(f"taken back: {', '.join(proof.left_out)}")
    for check in proof.checks:
        state = "works" if check.works_after else "fails"
        before = "" if check.worked_before == check.works_after else " (worked before)"
        output.write(f"  {check.name}: {state}{before} {check.words}".rstrip())
    if proof.tag:
        output.write(f"the trimmed image is {proof.tag}")


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
