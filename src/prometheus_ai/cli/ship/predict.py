"""``pai predict``."""

import csv
import importlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.client.session import Client
from prometheus_ai.domain.errors import InvalidInput, NotFound, Unsupported

INPUT_BYTES_MAX = 256 * 2**20


@command()
@click.argument("name")
@click.argument("rows", required=False)
@click.option(
    "--file", "-f", "path", type=click.Path(path_type=Path, allow_dash=True),
    help="Read rows from a .json, .csv or .npy file; - is standard input.",
)  # fmt: skip
@click.option("--release", "version", metavar="VERSION", help="Ask this release, past the weights.")
@as_json
@with_client
def predict(
    client: Client,
    name: str,
    rows: str | None,
    path: Path | None,
    version: str | None,
    as_json: bool,
) -> None:
    """Ask the model of backend NAME through the gateway.

    ROWS is JSON: a list of rows, one row, or a mapping of input name to rows.

    Examples:
      pai predict digits '[[0, 0, 5, 13]]'
      pai predict digits --file images.csv
      jq .rows data.json | pai predict digits --file -
    """
    answer = client.predict(name, _data(rows, path), version=version)
    if as_json:
        output.write_json(
            {
                "release": answer.release,
                "request_id": answer.request_id,
                "latency_ms": round(answer.latency_ms, 3),
                "server": answer.server,
                "outputs": answer.outputs,
            }
        )
        return
    for output_name, values in answer.outputs.items():
        output.write(f"{output_name}: {json.dumps(values)}")
    inside = answer.server.get("compute_us")
    compute = f", {inside / 1000:.2f} ms of it in the model" if inside is not None else ""
    output.say(f"{answer.release} answered in {answer.latency_ms:.2f} ms{compute}")


def _data(rows: str | None, path: Path | None) -> Any:
    if (rows is None) == (path is None):
        raise InvalidInput(
            "give the rows either as an argument or with --file",
            hint="pai predict NAME '[[1, 2, 3]]', or pai predict NAME --file rows.csv",
        )
    if path is None:
        return _json(rows or "", "ROWS")
    if str(path) == "-":
        return _text(sys.stdin.read(INPUT_BYTES_MAX + 1), "standard input")
    if not path.is_file():
        raise NotFound(f"{path} does not exist")
    if path.suffix == ".npy":
        return _array(path)
    if path.stat().st_size > INPUT_BYTES_MAX:
        raise InvalidInput(f"{path} is larger than {INPUT_BYTES_MAX >> 20} MiB")
    text = path.read_text(encoding="utf-8", errors="replace")
    return _csv(text, str(path)) if path.suffix == ".csv" else _text(text, str(path))


def _text(text: str, source: str) -> Any:
    return _json(text, source) if text.lstrip()[:1] in ("[", "{", '"') else _csv(text, source)


def _json(text: str, source: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(
            f"{source} is no JSON: {error}", hint="rows look like [[1, 2, 3]]"
        ) from error


def _csv(text: str, source: str) -> list[list[Any]]:
    lines = [line for line in csv.reader(io.StringIO(text)) if line]
    if lines and not any(_is_number(cell) for cell in lines[0]) and len(lines) > 1:
        lines = lines[1:]
    if not lines:
        raise InvalidInput(f"{source} holds no rows")
    return [[float(cell) if _is_number(cell) else cell for cell in line] for line in lines]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _array(path: Path) -> Any:
    try:
        numpy = importlib.import_module("numpy")
    except ImportError as error:
        raise Unsupported(
            f"{path}: reading .npy needs numpy", hint="install numpy, or give JSON or CSV"
        ) from error
    try:
        return numpy.load(path, allow_pickle=False)
    except ValueError as error:
        raise InvalidInput(f"{path} is no array: {error}") from error
