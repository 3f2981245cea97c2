"""A model inspector that takes every file for what a test says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_ai.domain.errors import PlatformError


class FakeInspector:
    """Every model is of ``engine`` unless the caller names one; ``failure`` is raised when set."""

    def __init__(self, engine: str = "onnx") -> None:
        self.failure: PlatformError | None = None
        self._engine = engine

    def inspect(self, path: Path, *, engine: str | None, allow_pickle: bool) -> Mapping[str, Any]:
        """Return a minimal inspection."""
        if self.failure is not None:
            raise self.failure
        return {"path": str(path), "engine": engine or self._engine}
