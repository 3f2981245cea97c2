"""Putting resolver and maker together over one folder."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from prometheus_ai.adapters.environments.uv.command import Uv
from prometheus_ai.adapters.environments.uv.interpreters import Interpreters
from prometheus_ai.adapters.environments.uv.maker import UvEnvironmentMaker
from prometheus_ai.adapters.environments.uv.notes import pip_only_notes
from prometheus_ai.adapters.environments.uv.resolver import UvResolver
from prometheus_ai.adapters.environments.uv.wheels import Wheels


class UvEnvironments:
    """Implements both environment ports: resolver and maker."""

    def __init__(
        self, root: Path, *, index_url: str | None = None, timeout_s: float = 1800.0
    ) -> None:
        uv = Uv(root / ".uv", index_url=index_url, timeout_s=timeout_s)
        interpreters = Interpreters(uv)
        wheels = Wheels(root / ".wheels")
        self._index_url = index_url
        self._wheels = wheels
        self._resolver = UvResolver(uv, interpreters, wheels)
        self._maker = UvEnvironmentMaker(root, uv, interpreters, wheels)

    def lock(self, requirements: Sequence[str], *, python: str, engine: str) -> bytes:
        """Resolve requirements together with the model server's and its engine's."""
        return self._resolver.lock(requirements, python=python, engine=engine)

    def check_lock(self, path: Path, *, python: str, engine: str) -> bytes:
        """Turn a user's lock into ours, changing no version."""
        return self._resolver.check_lock(path, python=python, engine=engine)

    def runtime_id(self) -> str:
        """Return version and digest of the model server."""
        return self._resolver.runtime_id()

    def make(
        self, lock_path: Path, *, python: str, runtime: str, progress: Callable[[str], None]
    ) -> Path:
        """Make the environment of a lock, or find it made."""
        return self._maker.make(lock_path, python=python, runtime=runtime, progress=progress)

    def find(self, lock_path: Path, *, python: str, runtime: str) -> Path | None:
        """Return the folder of a complete environment, or None."""
        return self._maker.find(lock_path, python=python, runtime=runtime)

    def prunable(self, keep: frozenset[str]) -> tuple[str, ...]:
        """Return environments whose lock is not in ``keep``."""
        return self._maker.prunable(keep)

    def prune(self, names: tuple[str, ...]) -> int:
        """Remove environments; return the bytes freed."""
        return self._maker.prune(names)

    def runtime_wheel(self, runtime: str) -> Path:
        """Return the wheel of a model server that a release was made with."""
        return self._wheels.path(runtime)

    def notes(self, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Return what ``pai doctor`` should say about package indexes on this machine."""
        environ = os.environ if environ is None else environ
        return pip_only_notes(environ, self._index_url)
