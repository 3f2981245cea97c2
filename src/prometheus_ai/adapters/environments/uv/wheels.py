"""Model server wheels, kept by digest for as long as a release may need them."""

import os
import tempfile
import threading
from pathlib import Path

from prometheus_ai.adapters.environments.uv.runtime_wheel import (
    RuntimeWheel,
    is_editable,
    pack_runtime,
)
from prometheus_ai.domain.errors import InvalidInput, Unavailable


class Wheels:
    """A folder of wheels, each below its digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._current: RuntimeWheel | None = None

    def current(self) -> RuntimeWheel:
        """Pack what is installed now; a source folder may change, so it is read each time."""
        with self._lock:
            if self._current is None or is_editable():
                self._current = pack_runtime()
            return self._current

    def keep(self, wheel: RuntimeWheel) -> Path:
        """Store a wheel and return its path."""
        path = self._folder / wheel.hex / wheel.filename
        if path.exists():
            return path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd, aside = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(fd, "wb") as file:
                file.write(wheel.content)
                file.flush()
                os.fsync(fd)
            Path(aside).replace(path)
        except OSError as error:
            raise Unavailable(
                f"the model server's wheel cannot be kept in {self._folder}: {error.strerror}",
                hint="free space there, or make it writable",
            ) from error
        return path

    def path(self, runtime: str) -> Path:
        """Return the wheel of ``<version>+sha256:<hex>``.

        Raises:
            InvalidInput: it is neither kept nor installed.
        """
        version, _, value = runtime.partition("+sha256:")
        for path in (self._folder / value).glob("*.whl") if value else ():
            return path
        current = self.current()
        if current.id == runtime:
            return self.keep(current)
        raise InvalidInput(
            f"model server {version} ({value[:12]}) is not on this machine any more",
            hint="deploy the backend again: the new release takes the model server that is installed now",
        )
