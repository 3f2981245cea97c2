"""Writing small files whole or not at all."""

import os
import tempfile
from pathlib import Path

from prometheus_ai.domain.errors import Unavailable


def write_text(path: Path, text: str) -> None:
    """Write a file aside, then rename it into place.

    Raises:
        Unavailable: it cannot be written.
    """
    try:
        handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent or Path())
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            mask = os.umask(0)
            os.umask(mask)
            Path(aside).chmod(0o666 & ~mask)
            Path(aside).rename(path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}") from error
