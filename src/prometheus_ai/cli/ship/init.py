"""``pai init``."""

import difflib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command
from prometheus_ai.cli.connection import home_of
from prometheus_ai.cli.ship.files import write_text
from prometheus_ai.cli.ship.schema import write_schema
from prometheus_ai.compose.inspection import inspect_file
from prometheus_ai.compose.settings import load_settings
from prometheus_ai.control.intake.spec_files import check_spec, render_spec
from prometheus_ai.domain.errors import Conflict, InvalidInput, NotFound
from prometheus_ai.domain.spec import RESERVED_NAMES, EngineName

SCHEMA_NAME = "pai.schema.json"
_SAYS_NOTHING = frozenset({"model", "models", "pipeline", "estimator"})
_VERSION = re.compile(r"v?[0-9-]+")
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
@click.pass_context
def init(
    ctx: click.Context,
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
    if engine is not None:
        _check_engine(engine)
    if not _file_of(model_file).exists():
        raise NotFound(f"{model_file} does not exist")
    with output.progress() as shown:
        shown.step(f"reading {model_file}")
        found = inspect_file(
            load_settings(home=home_of(ctx)),
            Path(model_file),
            engine=engine,
            allow_pickle=allow_pickle,
        )
    signature = _signature(found)
    spec = check_spec(
        {
            "name": _name_from(model_file) if name is None else name,
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


def _check_engine(engine: str) -> None:
    known = get_args(EngineName)
    if engine not in known:
        close = difflib.get_close_matches(engine, known, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        raise InvalidInput(
            f"there is no engine {engine!r}", hint=f"{meant}known engines: {', '.join(known)}"
        )


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


def _file_of(model_file: str) -> Path:
    """Return the file itself for a path written ``file.py:Class``."""
    return Path(re.sub(r"(\.py):\w+$", r"\1", model_file))


def _name_from(model_file: str) -> str:
    """Return a name from the file, or from its folder where the file's says nothing."""
    path = _file_of(model_file).absolute()
    for stem in (path.stem, path.parent.name, path.parent.parent.name):
        name = _LEFT_OF_NAME.sub("", re.sub(r"[^a-z0-9]+", "-", stem.lower()))[:40].rstrip("-")
        if name and not (name in RESERVED_NAMES | _SAYS_NOTHING or _VERSION.fullmatch(name)):
            return name
    return "model"


def _relative(model_file: str, spec: Path) -> str:
    path, folder = Path(model_file).absolute(), spec.absolute().parent
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
