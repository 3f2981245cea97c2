"""An environment resolver without an index."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from prometheus_ai.domain.errors import InvalidInput, PlatformError

RUNTIME_ID = f"0.1.0+sha256:{'0' * 64}"


class FakeEnvironmentResolver:
    """Locks are the requirements themselves, written canonically; ``failure`` is raised when set."""

    def __init__(self, runtime_id: str = RUNTIME_ID) -> None:
        self.failure: PlatformError | None = None
        self.calls: list[tuple[tuple[str, ...], str, str]] = []
        self._runtime_id = runtime_id

    def lock(self, requirements: Sequence[str], *, python: str, engine: str) -> bytes:
        """Return a lock that is equal for equal requirements."""
        self.calls.append((tuple(requirements), python, engine))
        if self.failure is not None:
            raise self.failure
        return _lock(sorted(requirements), python, engine)

    def check_lock(self, path: Path, *, python: str, engine: str) -> bytes:
        """Accept any file that names hashes.

        Raises:
            InvalidInput: the file is missing or names no hash.
        """
        if self.failure is not None:
            raise self.failure
        if not path.is_file():
            raise InvalidInput(f"lock {path} does not exist")
        text = path.read_text()
        if "sha256" not in text:
            raise InvalidInput(f"lock {path} has no hashes")
        return _lock([hashlib.sha256(text.encode()).hexdigest()], python, engine)

    def runtime_id(self) -> str:
        """Return the identity it was made with."""
        return self._runtime_id


def _lock(requirements: list[str], python: str, engine: str) -> bytes:
    content = {"engine": engine, "python": python, "requirements": requirements}
    return b"# fake lock\n" + json.dumps(content, sort_keys=True).encode() + b"\n"
