"""From a spec file to the body of a deploy: checked by the server, its inputs uploaded."""

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_ai.client.uploads import Say, Uploaded, existing, upload
from prometheus_ai.client.wire import Wire
from prometheus_ai.domain.errors import (
    InvalidInput,
    InvalidSpec,
    NotFound,
    SpecProblem,
    Unsupported,
)
from prometheus_ai.domain.image import EJECTED_BINARY, MODEL_FOLDER

SPEC_BYTES_MAX = 1 << 20
REQUIREMENTS_BYTES_MAX = 1 << 20
_COPIES_MODEL = "\nCOPY model/ /\n"
_FIELD = re.compile(r"([a-z][a-z0-9_.]*): ")
_MISSING = {"a spec": "`pai init MODEL_FILE` writes a spec"}


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecFile:
    """A checked spec, and the folder that its paths count from."""

    spec: Mapping[str, Any]
    folder: Path = field(default_factory=Path.cwd)
    source: str = ""
    """The file as the caller named it; empty for values."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Where each field is written."""


def read_spec_file(wire: Wire, spec: Path | str | Mapping[str, Any]) -> SpecFile:
    """Let the server read and check a spec.

    Raises:
        InvalidSpec: with every problem, each at its line.
        NotFound: there is no such file.
    """
    if isinstance(spec, Mapping):
        answer = wire.ask("POST", "/api/v1/specs/check", body={"values": dict(spec)})
        return SpecFile(spec=answer.json()["spec"])
    path = Path(spec).expanduser()
    if path.is_dir():
        path /= "pai.yaml"
    data = _read(path, SPEC_BYTES_MAX, "a spec")
    try:
        body = {"text": data.decode("utf-8"), "source": str(path)}
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = SpecProblem(
            field="", message="this is not UTF-8", line=line, hint="save the file as UTF-8"
        )
        raise InvalidSpec((problem,), source=str(path)) from error
    found = wire.ask("POST", "/api/v1/specs/check", body=body).json()
    return SpecFile(
        spec=found["spec"],
        folder=path.absolute().parent,
        source=str(path),
        lines=found.get("lines", {}),
    )


@contextmanager
def placing(file: SpecFile, field: str = "") -> Iterator[None]:
    """Say file and line of the spec in an error about one of its fields; ``field`` where it names none."""
    try:
        yield
    except InvalidSpec:
        raise
    except (NotFound, InvalidInput, Unsupported) as error:
        message = f"{field}: {error.message}" if field else error.message
        named = _FIELD.match(message)
        line = file.lines.get(named[1]) if named else None
        if line is not None:
            message = f"{file.source}:{line}: {message}"
        error.message, error.args = message, (message,)
        raise


def bring_inputs(wire: Wire, file: SpecFile, say: Say, *, dry_run: bool = False) -> dict[str, Any]:
    """Upload the files that a spec names, and return the body of a deploy; ``dry_run`` only digests them."""
    spec = dict(file.spec)
    body: dict[str, Any] = {"spec": spec, "model": None, "lock_digest": None}
    path = str(spec["model"]["path"])
    if not path.startswith(("http://", "https://")):
        with placing(file, "model.path"):
            body["model"] = _as_body(upload(wire, file.folder, path, say, dry_run=dry_run))
    environment = spec.get("environment") or {}
    if environment.get("lock") is not None:
        with placing(file, "environment.lock"):
            lock = upload(wire, file.folder, environment["lock"], say, dry_run=dry_run)
        body["lock_digest"] = lock.digest
    if isinstance(environment.get("requirements"), str):
        with placing(file, "environment.requirements"):
            lines = requirement_lines(file.folder / environment["requirements"])
        spec["environment"] = {**environment, "requirements": lines}
    return body


def ejected(files: Mapping[str, str], file: SpecFile) -> dict[str, bytes | Path]:
    """Return what an ejected image consists of, with the model where its image has it in a layer."""
    found: dict[str, bytes | Path] = {
        name: base64.b64decode(text.removeprefix(EJECTED_BINARY))
        if text.startswith(EJECTED_BINARY)
        else text.encode()
        for name, text in files.items()
    }
    path = str(file.spec["model"]["path"])
    if _COPIES_MODEL in files["Dockerfile"] and not path.startswith(("http://", "https://")):
        model = existing(file.folder, path)
        found[f"model{MODEL_FOLDER}/{model.name}"] = model
    return found


def requirement_lines(path: Path) -> list[str]:
    """Return the requirements in a file, without comments.

    Raises:
        InvalidInput: it holds options, which say where to install from and not what.
    """
    text = _read(path, REQUIREMENTS_BYTES_MAX, "requirements").decode("utf-8", "replace")
    joined = text.replace("\\\n", " ")
    found = []
    for number, line in enumerate(joined.splitlines(), start=1):
        requirement = line.partition(" #")[0].strip()
        if not requirement or requirement.startswith("#"):
            continue
        if requirement.startswith("-") or " --hash" in requirement:
            raise InvalidInput(
                f"{path}:{number}: {requirement.split()[0]} is not supported in requirements",
                hint="name a file with hashes as environment.lock instead",
            )
        found.append(requirement)
    return found


def _as_body(uploaded: Uploaded) -> dict[str, Any]:
    return {"digest": uploaded.digest, "name": uploaded.name, "is_tree": uploaded.is_tree}


def _read(path: Path, bytes_max: int, what: str) -> bytes:
    if "\0" in str(path):
        raise InvalidInput(f"{str(path)!r} is no path: it holds a null character")
    if path.is_fifo():
        raise InvalidInput(f"{path} is a pipe that would never end; name a file for {what}")
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist", hint=_MISSING.get(what, "")) from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > bytes_max:
        raise InvalidInput(f"{path} is larger than {bytes_max:,} bytes, too large for {what}")
    return data
