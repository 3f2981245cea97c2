"""Notices as files: a machine's own agent needs nothing but ``touch`` or ``echo`` to give one.

A file is named after a replica and holds the seconds from its writing until the replica is gone.
"""

import contextlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from prometheus_ai.domain.errors import Unavailable

WITHIN_S = 30.0
"""What an empty file says, as most providers do. A number that cannot be read means the same: a notice counts."""
WITHIN_S_MAX = 3600.0
KEPT_S = 600.0
"""A notice is dropped this long after its deadline."""
FILES_MAX = 10_000
_BYTES_MAX = 64


class NoticeFolder:
    """Keeps the promises of ``Notices`` with one file for each replica."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> Mapping[str, datetime]:
        """Return by when each noticed replica will be gone."""
        found: dict[str, datetime] = {}
        try:
            paths = [path for path in self._folder.iterdir() if not path.name.startswith(".")]
        except OSError:
            return found
        now_s = time.time()
        for path in paths[:FILES_MAX]:
            with contextlib.suppress(OSError):
                by_s = path.stat().st_mtime + _within_s(path)
                if now_s > by_s + KEPT_S:
                    path.unlink()
                else:
                    found[path.name] = datetime.fromtimestamp(by_s, UTC)
        return found

    def put(self, replica_id: str, by: datetime) -> None:
        """Keep a notice; see ``Notices``."""
        within_s = max(0.0, (by - datetime.now(UTC)).total_seconds())
        aside = self._folder / f".{replica_id}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            aside.write_text(f"{within_s:.3f}\n")
            aside.rename(self._folder / replica_id)
        except OSError as error:
            raise Unavailable(
                f"the notice for {replica_id} cannot be kept in {self._folder}: {error.strerror}",
                hint="free space there, or make it writable",
            ) from error


def _within_s(path: Path) -> float:
    with path.open("rb") as file:
        text = file.read(_BYTES_MAX).strip()
    try:
        return min(max(float(text), 0.0), WITHIN_S_MAX) if text else WITHIN_S
    except ValueError:
        return WITHIN_S
