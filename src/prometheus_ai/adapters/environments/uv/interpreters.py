"""Finding a Python of the version that a release asks for."""

import sys
import threading
from pathlib import Path

from prometheus_ai.adapters.environments.uv.command import Uv
from prometheus_ai.domain.errors import InvalidInput, PlatformError


class Interpreters:
    """Finds installed Pythons, the platform's own first; never downloads one."""

    def __init__(self, uv: Uv) -> None:
        self._uv = uv
        self._lock = threading.Lock()
        self._found: dict[str, Path] = {}

    def find(self, python: str) -> Path:
        """Return the interpreter for ``3.11`` or ``3.11.7``.

        Raises:
            InvalidInput: this machine has none.
        """
        with self._lock:
            known = self._found.get(python)
            if known is None or not known.exists():
                known = self._found[python] = self._own(python) or self._search(python)
            return known

    def _own(self, python: str) -> Path | None:
        full = ".".join(str(part) for part in sys.version_info[:3])
        base = Path(getattr(sys, "_base_executable", sys.executable))
        fits = python == full or full.startswith(f"{python}.")
        return base.resolve() if fits and base.exists() else None

    def _search(self, python: str) -> Path:
        try:
            found = self._uv.run(
                ["python", "find", python, "--system", "--no-project"],
                doing=f"looking for Python {python}",
            )
        except PlatformError as error:
            raise InvalidInput(
                f"environment.python: Python {python} is not installed on this machine",
                hint=f"install it (for example: uv python install {python}), or ask for "
                f"{sys.version_info.major}.{sys.version_info.minor}, which is here",
            ) from error
        return Path(found.strip())
