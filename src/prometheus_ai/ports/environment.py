"""Turning requirements into a lock, and a lock into an environment."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

Progress = Callable[[str], None]
"""Called with one human line for each step of long work."""


class EnvironmentResolver(Protocol):
    """Resolves requirements to exact, hashed versions, the model server's own included."""

    def lock(self, requirements: Sequence[str], *, python: str, engine: str) -> bytes:
        """Return a complete requirements lock with hashes for this Python and machine.

        Raises:
            InvalidInput: the requirements cannot be satisfied together; says which.
            Unavailable: the package index cannot be reached.
        """

    def check_lock(self, path: Path, *, python: str, engine: str) -> bytes:
        """Turn a user's lock (uv.lock, pylock.toml, requirements with hashes) into ours, changing no version.

        Raises:
            InvalidInput: it is no lock, lacks hashes, or lacks what the engine needs.
        """

    def runtime_id(self) -> str:
        """Return version and digest of the model server that environments get: ``0.1.0+sha256:<hex>``."""


class RuntimeWheels(Protocol):
    """Keeps the model servers that releases were made with."""

    def runtime_wheel(self, runtime: str) -> Path:
        """Return the wheel of ``<version>+sha256:<hex>``.

        Raises:
            InvalidInput: it is not on this machine any more.
        """


class EnvironmentMaker(Protocol):
    """Keeps virtual environments on this machine, made from locks and shared by content."""

    def make(self, lock_path: Path, *, python: str, runtime: str, progress: Progress) -> Path:
        """Make the environment of a lock, or find it made, and return its folder. May take minutes.

        ``lock_path`` is a lock that the resolver returned; ``runtime`` is what ``runtime_id`` returned then.

        Raises:
            InvalidInput: it can never be made (a version does not exist, a hash differs).
            Unavailable: it may work later (index unreachable, disk full, Python not installed).
        """

    def find(self, lock_path: Path, *, python: str, runtime: str) -> Path | None:
        """Return the folder of a complete environment, or None."""

    def prunable(self, keep: frozenset[str]) -> tuple[str, ...]:
        """Return the names of environments made from locks whose digests are not in ``keep``."""

    def prune(self, names: tuple[str, ...]) -> int:
        """Remove environments by name; return the bytes freed."""
