"""Look at a model file: its engine, signature, origin and dangers, for people and for programs."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from prometheus_ai_runtime import engines
from prometheus_ai_runtime.detect import ENGINES, ModelFile, recognise
from prometheus_ai_runtime.engines.base import (
    EngineError,
    EngineMissing,
    LoadedModel,
    LoadRequest,
    UnsafeFormat,
)
from prometheus_ai_runtime.provenance import digest, recorded_versions, size_bytes
from prometheus_ai_runtime.signature import Signature, TensorSpec

_STDOUT, _STDERR = 1, 2
_EXIT_OK = 0
_EXIT_CANNOT_LOAD = 65


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What is known about a model file."""

    path: str
    engine: str
    format: str
    runs_code: bool
    """Whether loading it executes what the file says."""
    signature: Signature | None
    """None when the engine is missing or the file was not allowed to run code."""
    batchable: bool | None
    libraries: dict[str, str]
    """Versions that the file records of the libraries that wrote it."""
    size_bytes: int
    sha256: str
    warnings: tuple[str, ...]
    missing: str | None
    """What to install when the engine's library is absent."""


def inspect(path: Path, engine: str | None = None, allow_pickle: bool = False) -> Inspection:
    """Look at a model file, and load it where that is safe or allowed.

    Raises EngineError when the file is no model or cannot be loaded.
    """
    file = recognise(path)
    if engine is not None and engine != file.engine:
        file = ModelFile(engine=engine, format=file.format, runs_code=file.runs_code)
    source = source_of(path)
    warnings: list[str] = []
    model: LoadedModel | None = None
    missing: str | None = None
    try:
        model = engines.load(file.engine, LoadRequest(path=path, allow_pickle=allow_pickle))
    except EngineMissing as error:
        missing = str(error)
    except UnsafeFormat as error:
        warnings.append(str(error))
    if model is not None:
        warnings.extend(model.warnings)
        model.close()
    if file.runs_code and not warnings:
        warnings.append(f"{path} executes code when it is loaded: deploy it only if you trust it")
    return Inspection(
        path=str(path),
        engine=file.engine,
        format=file.format,
        runs_code=file.runs_code,
        signature=None if model is None else model.signature,
        batchable=None if model is None else model.batchable,
        libraries=recorded_versions(source, file),
        size_bytes=size_bytes(source),
        sha256=digest(source),
        warnings=tuple(warnings),
        missing=missing,
    )


def source_of(path: Path) -> Path:
    """Give the file itself for a path written ``file.py:Class``."""
    if path.suffix.startswith(".py:"):
        return Path(str(path).rpartition(":")[0])
    return path


def main(argv: list[str]) -> int:
    """Run ``pai-runtime inspect``."""
    arguments = _parser().parse_args(argv)
    try:
        with _own_stdout():
            found = inspect(arguments.path, arguments.engine, arguments.allow_pickle)
    except (EngineError, OSError) as error:
        print(f"pai-runtime inspect: {error}", file=sys.stderr)
        return _EXIT_CANNOT_LOAD
    if arguments.json:
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        sys.stdout.buffer.write(orjson.dumps(asdict(found), option=options))
    else:
        print(_as_text(found))
    return _EXIT_OK


@contextlib.contextmanager
def _own_stdout() -> Iterator[None]:
    """Send what a model and its libraries print to stderr: stdout is for the answer alone."""
    sys.stdout.flush()
    kept = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, _STDOUT)
        os.close(kept)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pai-runtime inspect",
        description="Tell a model file's engine, signature, versions and dangers.",
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="model file or folder")
    parser.add_argument("--engine", choices=ENGINES, help="do not detect the engine, take this one")
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="load a format that executes code, to learn its signature",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _as_text(found: Inspection) -> str:
    lines = [
        f"path       {found.path}",
        f"engine     {found.engine} ({found.format})",
        f"size       {found.size_bytes} bytes",
        f"sha256     {found.sha256}",
        *(f"written by {name} {version}" for name, version in found.libraries.items()),
        *_signature_lines(found.signature),
        *(f"warning    {warning}" for warning in found.warnings),
    ]
    if found.missing is not None:
        lines.append(f"missing    {found.missing}")
    return "\n".join(lines)


def _signature_lines(signature: Signature | None) -> list[str]:
    if signature is None:
        return ["signature  unknown"]
    lines = [f"input      {_tensor(tensor)}" for tensor in signature.inputs]
    lines += [f"output     {_tensor(tensor)}" for tensor in signature.outputs]
    if signature.columns:
        lines.append(f"columns    {', '.join(signature.columns)}")
    return lines


def _tensor(tensor: TensorSpec) -> str:
    shape: Any = ", ".join("any" if dim == -1 else str(dim) for dim in tensor.shape)
    return f"{tensor.name} {tensor.datatype} [{shape}]"
