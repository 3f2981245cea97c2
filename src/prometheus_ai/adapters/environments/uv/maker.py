"""Making virtual environments, once each."""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_ai.adapters.environments.uv.command import Uv
from prometheus_ai.adapters.environments.uv.interpreters import Interpreters
from prometheus_ai.adapters.environments.uv.wheels import Wheels
from prometheus_ai.domain.errors import Unavailable

MARKER = "pai-environment.json"
NAME_CHARS = 40
TURN_PAUSE_S = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wanted:
    lock_path: Path
    lock_digest: str
    python: str
    runtime: str

    @property
    def name(self) -> str:
        """Everything that decides the content, hashed."""
        machine = f"{sys.platform}-{platform.machine()}"
        parts = (self.lock_digest, self.python, machine, self.runtime)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:NAME_CHARS]


class UvEnvironmentMaker:
    """Implements the EnvironmentMaker port with one folder for each environment."""

    def __init__(
        self,
        root: Path,
        uv: Uv,
        interpreters: Interpreters,
        wheels: Wheels,
        *,
        turn_s: float = 3600.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._root = root
        self._uv = uv
        self._interpreters = interpreters
        self._wheels = wheels
        self._turn_s = turn_s
        self._wait = wait

    def make(
        self, lock_path: Path, *, python: str, runtime: str, progress: Callable[[str], None]
    ) -> Path:
        """Make the environment, or wait for whoever is making it, or find it made."""
        wanted = _wanted(lock_path, python, runtime)
        folder = self._root / wanted.name
        if _is_complete(folder):
            return folder
        with self._turn(wanted.name, progress) as held:
            if not _is_complete(folder):
                self._build(folder, wanted, progress, held)
        return folder

    def find(self, lock_path: Path, *, python: str, runtime: str) -> Path | None:
        """Return a complete environment, or None."""
        folder = self._root / _wanted(lock_path, python, runtime).name
        return folder if _is_complete(folder) else None

    def prunable(self, keep: frozenset[str]) -> tuple[str, ...]:
        """Return environments whose lock is not in ``keep``, and remains of interrupted ones."""
        return tuple(
            folder.name
            for folder in self._folders()
            if _marker(folder).get("lock_digest") not in keep
        )

    def prune(self, names: tuple[str, ...]) -> int:
        """Remove environments, but none that is being made; return the bytes that this frees."""
        freed = 0
        for folder in [folder for folder in self._folders() if folder.name in names]:
            with self._turn_now(folder.name) as held:
                if held is not None:
                    (folder / MARKER).unlink(missing_ok=True)
                    freed += _own_bytes(folder)
                    shutil.rmtree(folder, ignore_errors=True)
        return freed

    def _build(
        self, folder: Path, wanted: _Wanted, progress: Callable[[str], None], held: int
    ) -> None:
        interpreter = self._interpreters.find(wanted.python)
        wheel = self._wheels.path(wanted.runtime)
        python = folder / "bin" / "python"
        doing = "making the environment"
        progress(f"making an environment with Python {wanted.python}")
        started = time.monotonic()
        try:
            # A folder without its marker was interrupted; what is in it is not known.
            shutil.rmtree(folder, ignore_errors=True)
            self._uv.run(
                ["venv", str(folder), "--python", str(interpreter), "--no-project"],
                doing=doing,
                held=held,
            )
            self._uv.run(
                ["pip", "sync", str(wanted.lock_path), "--python", str(python),
                 "--require-hashes", "--compile-bytecode", "--allow-empty-requirements"],
                doing=doing,
                held=held,
                progress=progress,
            )  # fmt: skip
            self._uv.run(
                ["pip", "install", str(wheel), "--no-deps", "--python", str(python),
                 "--compile-bytecode"],
                doing=doing,
                held=held,
            )  # fmt: skip
            _finish(folder, wanted)
        except OSError as error:
            raise Unavailable(
                f"{doing} in {folder}: {error.strerror}",
                hint="free space there, or make it writable",
            ) from error
        progress(f"environment ready after {time.monotonic() - started:.1f} s")

    def _folders(self) -> list[Path]:
        try:
            entries = sorted(self._root.iterdir())
        except FileNotFoundError:
            return []
        return [path for path in entries if path.is_dir() and not path.name.startswith(".")]

    @contextlib.contextmanager
    def _turn(self, name: str, progress: Callable[[str], None]) -> Iterator[int]:
        until = time.monotonic() + self._turn_s
        has_said = False
        while True:
            with self._turn_now(name) as held:
                if held is not None:
                    yield held
                    return
            if not has_said:
                progress("waiting for another preparation of the same environment")
                has_said = True
            if time.monotonic() > until:
                raise Unavailable("another preparation of the same environment does not end")
            self._wait(TURN_PAUSE_S)

    @contextlib.contextmanager
    def _turn_now(self, name: str) -> Iterator[int | None]:
        locks = self._root / ".locks"
        try:
            locks.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(locks / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(
                f"environments cannot be written to {self._root}: {error.strerror}",
                hint="free space there, or make it writable",
            ) from error
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield fd
        finally:
            os.close(fd)


def _wanted(lock_path: Path, python: str, runtime: str) -> _Wanted:
    with lock_path.open("rb") as file:
        digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    return _Wanted(lock_path=lock_path, lock_digest=digest, python=python, runtime=runtime)


def _is_complete(folder: Path) -> bool:
    # The interpreter is a link into the system, which may have lost it since.
    return (folder / MARKER).exists() and (folder / "bin" / "python").exists()


def _marker(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / MARKER).read_bytes()))
    except (OSError, ValueError):
        return {}


def _finish(folder: Path, wanted: _Wanted) -> None:
    content = {
        "lock_digest": wanted.lock_digest,
        "python": wanted.python,
        "runtime": wanted.runtime,
        "made_at": datetime.now(UTC).isoformat(),
    }
    # Without this a machine that loses power could keep the marker and lose what it vouches for.
    os.sync()
    fd, aside = tempfile.mkstemp(dir=folder)
    with os.fdopen(fd, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(fd)
    Path(aside).replace(folder / MARKER)


def _own_bytes(folder: Path) -> int:
    """Return the bytes that go with the folder; files shared with uv's cache stay on the disk."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            total += status.st_size if status.st_nlink == 1 else 0
    return total
