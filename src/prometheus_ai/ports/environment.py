"""Turning requirements into a lock."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


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
