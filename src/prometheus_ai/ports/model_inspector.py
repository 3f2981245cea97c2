"""Reading what a model file is, without trusting it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class ModelInspector(Protocol):
    """Finds engine, inputs and outputs of a model file."""

    def inspect(self, path: Path, *, engine: str | None, allow_pickle: bool) -> Mapping[str, Any]:
        """Return the inspection as the model server prints it (``pai-runtime inspect --json``).

        Raises:
            InvalidInput: the file is no model that an engine can load; says why.
            Unavailable: the engine's environment cannot be made.
        """
