"""``pai image scan``."""

from dataclasses import asdict
from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command
from prometheus_ai.cli.connection import home_of
from prometheus_ai.compose.gate import scan_image
from prometheus_ai.compose.settings import load_settings
from prometheus_ai.domain.gate import ImageScan, Vulnerability

SHOWN_MAX = 40


@command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), metavar="IMAGE")
@as_json
@click.pass_context
def scan(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Look into a saved IMAGE, any image: OCI layout, `docker save` archive or root file system.

    Examples:
      docker save my-image -o image.tar && pai image scan image.tar
    """
    found, weaknesses, data = scan_image(load_settings(home=home_of(ctx)), path)
    if as_json:
        listed = None if weaknesses is None else [asdict(one) for one in weaknesses]
        output.write_json(asdict(found) | {"vulnerabilities": listed, "advisories": asdict(data)})
        return
    _write(found, weaknesses)


def _write(found: ImageScan, weaknesses: tuple[Vulnerability, ...] | None) -> None:
    output.write(
        f"{found.image or 'root file system'}: {found.layers} layers, {found.sbom.files} files, "
        f"{len(found.sbom.components)} packages, user {found.user or 'root'!r}"
    )
    if weaknesses is None:
        output.write("weaknesses: unknown, there is no advisory database (`pai advisories import`)")
    else:
        output.write(f"weaknesses: {len(weaknesses)}")
        for weakness in weaknesses[:SHOWN_MAX]:
            fix = f"fixed in {', '.join(weakness.fixed_in)}" if weakness.fixed_in else "no fix"
            mark = " known exploited" if weakness.is_known_exploited else ""
            output.write(
                f"  {weakness.severity.value.ljust(8)}  {weakness.id}{mark}  "
                f"{weakness.package} {weakness.version}, {fix}"
            )
    output.write(f"credentials: {len(found.secrets)}")
    for secret in found.secrets[:SHOWN_MAX]:
        output.write(f"  {secret.rule}  {secret.file}:{secret.line}  {secret.excerpt}")
    unsafe = [one for one in found.models if not one.is_clean]
    output.write(f"model files: {len(found.models)}, not safe to load: {len(unsafe)}")
    for model in unsafe[:SHOWN_MAX]:
        output.write(f"  {model.findings[0].file}: {model.findings[0].message}")
