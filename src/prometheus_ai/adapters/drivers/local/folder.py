"""The folder of one replica: the records in it, and what they say."""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from prometheus_ai.domain.secret import Secret

NEW_PREFIX = ".new-"
ENDED = ".ended"
SECRETS = "secrets"


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What the driver writes for the shim, and reads back when it adopts a replica."""

    id: str
    backend: str
    version: str
    release: str
    created_at: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    limits: Mapping[str, float]
    cgroups: Mapping[str, Any]
    environment: str
    """The folder of the virtual environment, so that it is not pruned while in use."""
    gpus: tuple[int, ...]
    grace_s: float
    progress_s: float
    log_bytes_max: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """What the shim wrote once the server existed."""

    pid: int
    shim_pid: int
    started_at: datetime
    cgroups: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Announced:
    """Where the server listens."""

    pid: int
    host: str
    port: int
    grpc_port: int | None


class ReplicaFolder:
    """Paths and records of one replica."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.control = path / "control"
        self.announce = path / "announce.json"
        self.config = path / "config.json"
        self.log = path / "log"

    @property
    def id(self) -> str:
        """The replica's id."""
        return self.path.name

    @classmethod
    def create(
        cls,
        root: Path,
        order: Order,
        config: Mapping[str, Any],
        secrets: Mapping[str, Secret] | None = None,
    ) -> tuple[Self, int] | None:
        """Make the folder in one step and return it with its held lock; None when it exists.

        The lock is held before the folder is visible, so nobody ever sees an unlocked unstarted replica
        that is about to start.
        """
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = Path(tempfile.mkdtemp(prefix=f"{NEW_PREFIX}{order.id}-", dir=root))
        lock = -1
        try:
            lock = os.open(aside / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name in ("home", "tmp", SECRETS):
                (aside / name).mkdir(mode=0o700)
            for name, secret in (secrets or {}).items():
                _write_secret(aside / SECRETS / name, secret)
            os.mkfifo(aside / "control", 0o600)
            _write(aside / "config.json", config)
            _write(aside / "order.json", asdict(order))
            aside.rename(root / order.id)
        except OSError:
            if lock >= 0:
                os.close(lock)
            shutil.rmtree(aside, ignore_errors=True)
            if (root / order.id).exists():
                return None
            raise
        return cls(root / order.id), lock

    @property
    def is_locked(self) -> bool:
        """Whether a shim (or a driver about to start one) holds the lock."""
        try:
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def order(self) -> Order | None:
        """Return the order, or None when it cannot be read."""
        content = _read(self.path / "order.json")
        if content is None:
            return None
        try:
            content["argv"] = tuple(content["argv"])
            content["gpus"] = tuple(content["gpus"])
            return Order(**content)
        except (KeyError, TypeError):
            return None

    def started(self) -> Started | None:
        """Return the shim's record of the start, or None while there is none."""
        content = _read(self.path / "started.json")
        if content is None:
            return None
        return Started(
            pid=int(content["pid"]),
            shim_pid=int(content["shim_pid"]),
            started_at=datetime.fromisoformat(content["started_at"]),
            cgroups=tuple(content["cgroups"]),
            notes=tuple(content["notes"]),
        )

    def announced(self, pid: int) -> Announced | None:
        """Return where this server listens, or None while it has not said."""
        content = _read(self.announce)
        if content is None or content.get("pid") != pid:
            return None
        return Announced(
            pid=pid,
            host=str(content["host"]),
            port=int(content["http_port"]),
            grpc_port=content.get("grpc_port"),
        )

    def exit_record(self) -> dict[str, Any] | None:
        """Return the shim's record of the end, or None."""
        return _read(self.path / "exit.json")

    def modified_at(self) -> datetime:
        """Return when something last changed in the folder."""
        try:
            return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        except OSError:
            return datetime.now(UTC)

    def mark(self, name: str) -> None:
        """Leave a hint for the next driver; a full disk only costs the hint."""
        with contextlib.suppress(OSError):
            (self.path / name).touch(mode=0o600)

    def has_mark(self, name: str) -> bool:
        """Whether a hint was left."""
        return (self.path / name).exists()

    def send(self, command: str) -> bool:
        """Write a command to the shim; False when none is there to read it."""
        try:
            fd = os.open(self.control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            os.write(fd, f"{command}\n".encode())
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def drop_secrets(self) -> None:
        """Remove the secrets of a replica that ended; its records stay until it is forgotten."""
        shutil.rmtree(self.path / SECRETS, ignore_errors=True)

    def retire(self, keep: int) -> None:
        """Keep only the logs, in the folder of ended replicas, at most ``keep`` of them."""
        ended = self.path.parent / ENDED
        ended.mkdir(exist_ok=True, mode=0o700)
        target = ended / self.id
        shutil.rmtree(target, ignore_errors=True)
        self.path.rename(target)
        for entry in target.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name not in ("log", "log.1"):
                entry.unlink(missing_ok=True)
        oldest = sorted(ended.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in oldest[: max(0, len(oldest) - keep)]:
            shutil.rmtree(path, ignore_errors=True)


def scan(root: Path) -> list[ReplicaFolder]:
    """Return the folders of all replicas; sweep what a crash left half-made."""
    found = []
    try:
        entries = sorted(root.iterdir())
    except FileNotFoundError:
        return []
    for path in entries:
        if path.name.startswith(NEW_PREFIX):
            if not ReplicaFolder(path).is_locked and _is_old(path):
                shutil.rmtree(path, ignore_errors=True)
        elif not path.name.startswith(".") and path.is_dir():
            found.append(ReplicaFolder(path))
    return found


def _is_old(path: Path) -> bool:
    try:
        return datetime.now(UTC).timestamp() - path.stat().st_mtime > 60
    except OSError:
        return False


def _write(path: Path, value: Mapping[str, Any]) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())


def _write_secret(path: Path, secret: Secret) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret.reveal().encode())


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
