"""Looking at model files with the model server's own eyes, in a process apart."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.ports.environment import EnvironmentMaker, EnvironmentResolver

TIMEOUT_S = 120.0
OUTPUT_BYTES_MAX = 4 * 2**20
REASON_CHARS_MAX = 2000
_USAGE = 2
_LOADS_NO_MODEL = 65


class Environments(EnvironmentResolver, EnvironmentMaker, Protocol):
    """Both environment ports in one object."""


class RuntimeInspector:
    """Runs ``pai-runtime inspect`` beside the platform, and in the engine's own environment if it lacks there."""

    def __init__(self, environments: Environments, *, timeout_s: float = TIMEOUT_S) -> None:
        self._environments = environments
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str], bytes] = {}

    def inspect(self, path: Path, *, engine: str | None, allow_pickle: bool) -> Mapping[str, Any]:
        """Return what ``pai-runtime inspect --json`` says.

        Raises:
            InvalidInput: the file is no model that an engine can load; says why.
            Unavailable: the engine's environment cannot be made, or looking took too long.
        """
        options = [*(["--engine", engine] if engine else [])]
        options += ["--allow-pickle"] if allow_pickle else []
        here = [sys.executable, "-I", "-m", "prometheus_ai_runtime"]
        found = self._run(here, path, options)
        if not found.get("missing"):
            return found
        name = str(found["engine"])
        folder = self._environment(name)
        there = [str(folder / "bin" / "python"), "-I", "-m", "prometheus_ai_runtime"]
        return self._run(there, path, ["--engine", name, *options[2 if engine else 0 :]])

    def _environment(self, engine: str) -> Path:
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        runtime = self._environments.runtime_id()
        with self._lock:
            lock = self._locks.get((engine, runtime))
            if lock is None:
                lock = self._environments.lock([], python=python, engine=engine)
                self._locks[engine, runtime] = lock
        with tempfile.TemporaryDirectory(prefix="pai-inspect-") as folder:
            lock_path = Path(folder) / "requirements.lock"
            lock_path.write_bytes(lock)
            return self._environments.make(
                lock_path, python=python, runtime=runtime, progress=lambda _: None
            )

    def _run(self, command: Sequence[str], path: Path, options: Sequence[str]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="pai-inspect-") as folder:
            code, output, errors = self._bounded(
                [*command, "inspect", str(path), "--json", *options], folder
            )
        if code == 0:
            try:
                return dict(json.loads(output))
            except (ValueError, TypeError) as error:
                raise Unavailable(
                    f"the model server's inspection cannot be read: {error}"
                ) from error
        if code in (_USAGE, _LOADS_NO_MODEL):
            raise InvalidInput(
                _reason(errors), hint="check the file, and the engine if you named one"
            )
        if code < 0:
            name = signal.Signals(-code).name
            raise InvalidInput(
                f"{path.name} ended the engine with {name} while it was looked at",
                hint="the file is damaged, or not what its engine expects",
            )
        raise Unavailable(f"the model server could not look at {path.name}: {_reason(errors)}")

    def _bounded(self, command: Sequence[str], folder: str) -> tuple[int, bytes, str]:
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder, "TMPDIR": folder}
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "LANG": "C.UTF-8", "CUDA_VISIBLE_DEVICES": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with process:
            try:
                output, errors = process.communicate(timeout=self._timeout_s)
            except subprocess.TimeoutExpired as error:
                raise Unavailable(
                    f"looking at the model took longer than {self._timeout_s:g} s",
                    hint="name engine and signature in the spec, then nothing has to be looked at",
                ) from error
            finally:
                # Whatever the model started must not outlive the look.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if len(output) > OUTPUT_BYTES_MAX:
            raise InvalidInput(f"the inspection is larger than {OUTPUT_BYTES_MAX} bytes")
        return process.returncode, output, errors.decode("utf-8", "replace")


def _reason(errors: str) -> str:
    lines = [line for line in errors.strip().splitlines() if line.strip()]
    last = lines[-1] if lines else "it gave no reason"
    with contextlib.suppress(ValueError, TypeError, KeyError):
        last = str(json.loads(last)["error"])
    return last.removeprefix("pai-runtime inspect: ")[:REASON_CHARS_MAX]
