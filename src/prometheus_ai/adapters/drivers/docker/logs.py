"""Captured output: of the engine while a container exists, of kept files afterwards."""

import contextlib
import json
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from prometheus_ai.adapters.docker_engine import DockerEngine
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.ports.driver import LogLine


def engine_lines(
    engine: DockerEngine, container: str, replica: str, *, tail: int, follow: bool = False
) -> Iterator[LogLine]:
    """Yield lines that the engine captured; nothing when the container is gone."""
    query = {"stdout": True, "stderr": True, "timestamps": True, "tail": tail, "follow": follow}
    partial: dict[str, bytes] = {}
    try:
        for stream, data in engine.log_frames(container, **query):
            *lines, partial[stream] = (partial.get(stream, b"") + data).split(b"\n")
            yield from (_line(replica, stream, raw) for raw in lines)
    except NotFound:
        return
    for stream, rest in partial.items():
        if rest:
            yield _line(replica, stream, rest)


class KeptLogs:
    """Lines of containers that were removed: one file each, within a bound."""

    def __init__(self, folder: Path, *, bytes_max: int, files_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._files_max = files_max

    def keep(self, replica: str, lines: Iterator[LogLine]) -> None:
        """Write the last lines of a replica; a full disk only costs them."""
        kept: deque[bytes] = deque()
        size = 0
        for line in lines:
            kept.append(json.dumps([line.at, line.stream, line.text]).encode() + b"\n")
            size += len(kept[-1])
            while size > self._bytes_max:
                size -= len(kept.popleft())
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            aside = self._folder / f".{replica}.new"
            aside.write_bytes(b"".join(kept))
            aside.rename(self._folder / replica)
            self._drop_oldest()

    def lines(self, replica: str, tail: int) -> list[LogLine]:
        """Return the last lines of a replica."""
        try:
            with (self._folder / replica).open("rb") as file:
                raws = list(deque(file, maxlen=tail)) if tail else []
        except OSError:
            return []
        parts = [json.loads(raw) for raw in raws]
        return [LogLine(replica=replica, at=at, stream=said, text=text) for at, said, text in parts]

    def _drop_oldest(self) -> None:
        files = sorted(os.scandir(self._folder), key=lambda entry: entry.stat().st_mtime)
        for entry in files[: max(0, len(files) - self._files_max)]:
            Path(entry.path).unlink(missing_ok=True)


def _line(replica: str, stream: str, raw: bytes) -> LogLine:
    at, _, text = raw.decode("utf-8", "replace").rstrip("\r").partition(" ")
    return LogLine(replica=replica, at=at, stream=stream, text=text)
