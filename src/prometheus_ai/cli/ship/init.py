"""``pai init``."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command
from prometheus_ai.cli.ship.files import write_text
from prometheus_ai.cli.ship.schema import write_schema
from prometheus_ai.control.spec_files import check_spec, render_spec
from prometheus_ai.domain.errors import Conflict, InvalidInput, NotFound, Unavailable

INSPECT_TIMEOUT_S = 300.0
SCHEMA_NAME = "pai.schema.json"
_LEFT_OF_NAME = re.compile(r"^[^a-z]+|[^a-z0-9]+$")


@command()
@click.argument("model_file")
@click.option("--name", help="The backend's name  [default: from the file's name]")
@click.option(
    "--output", "path", type=click.Path(path_type=Path), default=Path("pai.yaml"),
    show_default=True, help="The spec to write.",
)  # fmt: skip
@click.option("--engine", help="Do not detect the engine; take this one.")
@click.option(
    "--allow-pickle", is_flag=True, help="Load a format that runs code, to learn its signature."
)
@click.option(
    "--schema", "with_schema", is_flag=True, help=f"Write {SCHEMA_NAME} beside it, for editors."
)
@click.option("--force", is_flag=True, help="Replace an existing spec.")
def init(
    model_file: str,
    name: str | None,
    path: Path,
    engine: str | None,
    allow_pickle: bool,
    with_schema: bool,
    force: bool,
) -> None:
    """Write a spec for MODEL_FILE: engine, inputs and outputs are read from the model.

    Examples:
      pai init model.onnx
      pai init forest.skops --name fraud --schema
    """
    if path.exists() and not force:
        raise Conflict(f"{path} exists", hint="choose another --output, or give --force")
    found = inspect_model(model_file, engine, allow_pickle=allow_pickle)
    signature = _signature(found)
    spec = check_spec(
        {
            "name": name or _name_from(model_file),
            "model": {
                "path": _relative(model_file, path),
                "engine": found["engine"],
                **({"signature": signature} if signature else {}),
                **({"allow_pickle": True} if found.get("runs_code") and allow_pickle else {}),
            },
        },
        str(path),
    )
    if with_schema:
        write_schema(path.parent / SCHEMA_NAME)
    write_text(path, render_spec(spec, schema_file=f"./{SCHEMA_NAME}" if with_schema else None))
    for warning in found.get("warnings") or ():
        output.say(output.paint("warning", "yellow", sys.stderr) + f": {warning}")
    if not signature:
        output.say(f"inputs and outputs are not known yet: {found.get('missing') or 'see above'}")
    output.write(f"wrote {path}: backend {spec.name}, engine {spec.model.engine}")
    output.say(f"next: pai deploy {path} --wait")


def inspect_model(model_file: str, engine: str | None, *, allow_pickle: bool) -> Mapping[str, Any]:
    """Let the model server of this environment look at a model, in a process of its own.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is no model that an engine knows.
        Unavailable: looking took too long.
    """
    if not Path(re.sub(r"(\.py):\w+$", r"\1", model_file)).exists():
        raise NotFound(f"{model_file} does not exist")
    command = [sys.executable, "-m", "prometheus_ai_runtime", "inspect", "--json"]
    command += ["--engine", engine] if engine else []
    command += ["--allow-pickle"] if allow_pickle else []
    try:
        done = subprocess.run(
            [*command, "--", model_file],
            capture_output=True,
            text=True,
            timeout=INSPECT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"{model_file} did not load within {INSPECT_TIMEOUT_S:g} s", hint="give --engine"
        ) from error
    if done.returncode != 0:
        message = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise InvalidInput(message[0].removeprefix("pai-runtime inspect: "))
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def _signature(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a spec says of a signature; the model server knows more."""
    signature = found.get("signature")
    if not signature:
        return None
    return {
        side: [
            {name: one[name] for name in ("name", "datatype", "shape")} for one in signature[side]
        ]
        for side in ("inputs", "outputs")
    }


def _name_from(model_file: str) -> str:
    path = Path(re.sub(r"(\.py):\w+$", r"\1", model_file)).absolute()
    stem = path.stem if path.stem not in ("model", "pipeline", "estimator") else path.parent.name
    name = _LEFT_OF_NAME.sub("", re.sub(r"[^a-z0-9]+", "-", stem.lower()))[:40].rstrip("-")
    return name or "model"


def _relative(model_file: str, spec: Path) -> str:
    path, folder = Path(model_file).absolute(), spec.absolute().parent
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
