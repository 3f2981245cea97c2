"""Reading the captured lines of a replica."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_ai.ports.driver import LogLine

FOLLOW_PAUSE_S = 0.2


def tail_lines(folder: Path, count: int) -> list[LogLine]:
    """Return the last ``count`` lines over both files."""
    lines: deque[LogLine] = deque(maxlen=max(0, count))
    for path in (folder / "log.1", folder / "log"):
        try:
            with path.open("rb") as file:
                lines.extend(_parse(folder.name, raw) for raw in file)
        except OSError:
            continue
    return list(lines)


def tail_texts(folder: Path, count: int) -> list[str]:
    """Return the texts of the last ``count`` lines."""
    return [line.text for line in tail_lines(folder, count)]


class Follower:
    """Yields lines as they are written, across rotation, until the replica ended and all was read."""

    def __init__(
        self, folder: Path, has_ended: Callable[[], bool], closed: threading.Event
    ) -> None:
        self._folder = folder
        self._has_ended = has_ended
        self._closed = closed
        self._partial = b""

    def lines(self, count: int) -> Iterator[LogLine]:
        """Yield the last ``count`` lines, then new ones."""
        path = self._folder / "log"
        while not path.exists():
            if self._has_ended() or self._closed.wait(FOLLOW_PAUSE_S):
                return
        file = path.open("rb")
        try:
            *shown, self._partial = file.read().split(b"\n")
            if len(shown) < count:
                shown = _last_lines(self._folder / "log.1", count - len(shown)) + shown
            yield from (
                _parse(self._folder.name, raw) for raw in shown[max(0, len(shown) - count) :]
            )
            while True:
                ended = self._has_ended()
                yield from self._parse_new(file.read())
                if _is_replaced(file.fileno(), path):
                    yield from self._parse_new(file.read())
                    file.close()
                    file = path.open("rb")
                elif ended or self._closed.wait(FOLLOW_PAUSE_S):
                    return
        finally:
            file.close()

    def _parse_new(self, data: bytes) -> Iterator[LogLine]:
        *lines, self._partial = (self._partial + data).split(b"\n")
        for raw in lines:
            yield _parse(self._folder.name, raw)


def _last_lines(path: Path, count: int) -> list[bytes]:
    try:
        with path.open("rb") as file:
            return list(deque((raw.rstrip(b"\n") for raw in file), maxlen=count))
    except OSError:
        return []


def _is_replaced(fd: int, path: Path) -> bool:
    try:
        return not os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


def _parse(replica: str, raw: bytes) -> LogLine:
    at, _, rest = raw.decode("utf-8", "replace").rstrip("\n").partition(" ")
    stream, _, text = rest.partition(" ")
    return LogLine(replica=replica, at=at, stream=stream, text=text)
