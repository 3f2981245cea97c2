"""Secrets that come through standard input: one line of JSON, written as files for the model alone."""

import json
import os
import selectors
import time
from pathlib import Path

from prometheus_ai_runtime.errors import StartFailed

ARRIVE_TIMEOUT_S = 30.0
LINE_BYTES_MAX = 8 * 2**20
EXIT_NO_SECRETS = 64
_STDIN = 0
_CHUNK_BYTES = 65_536


def receive(folder: Path) -> None:
    """Write the secrets that standard input brings into ``folder``, then close that input.

    Raises:
        StartFailed: they did not come whole, or cannot be written; says nothing of what they are.
    """
    secrets = _parse(_read_line())
    try:
        for name, value in secrets.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(folder / name, flags, 0o400), "wb") as file:
                file.write(value.encode())
    except OSError as error:
        raise StartFailed(
            EXIT_NO_SECRETS,
            f"secrets cannot be written to {folder}: {error.strerror}; is it a writable tmpfs?",
        ) from error
    # What a model reads from standard input later is nothing.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, _STDIN)
    os.close(null)


def _read_line() -> bytes:
    line = bytearray()
    end = time.monotonic() + ARRIVE_TIMEOUT_S
    with selectors.DefaultSelector() as selector:
        selector.register(_STDIN, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, end - time.monotonic())):
                raise StartFailed(
                    EXIT_NO_SECRETS, f"the secrets did not come in {ARRIVE_TIMEOUT_S:g} s"
                )
            chunk = os.read(_STDIN, _CHUNK_BYTES)
            line += chunk
            if not chunk or len(line) > LINE_BYTES_MAX:
                raise StartFailed(
                    EXIT_NO_SECRETS,
                    "the secrets did not come whole: who starts this server writes them to it",
                )
    return bytes(line)


def _parse(line: bytes) -> dict[str, str]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    is_text = isinstance(found, dict) and all(
        isinstance(value, str) and Path(name).name == name for name, value in found.items()
    )
    if not is_text:
        # Its cause would carry what came.
        raise StartFailed(EXIT_NO_SECRETS, "the secrets are no JSON object of names and texts")
    return dict(found)
