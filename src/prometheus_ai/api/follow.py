"""Answers that go on: server-sent events over repeated, bounded reads, and long work that tells what happens."""

import asyncio
import json
import queue
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from prometheus_ai.api.errors import body_of, status_of
from prometheus_ai.domain.errors import NotReady, PlatformError
from prometheus_ai.domain.image import BuildEvent, BuildRecord

log = structlog.get_logger()

STREAMS_MAX = 64
POLL_S = 0.5
HEARTBEAT_S = 15.0

Batch = Sequence[tuple[str, Any]]
"""Pairs of event id and JSON value."""


class Streams:
    """Counts the streams that are open, and bounds them."""

    def __init__(self, streams_max: int = STREAMS_MAX) -> None:
        self._open = 0
        self._streams_max = streams_max

    def respond(self, read_new: Callable[[], Batch], poll_s: float = POLL_S) -> StreamingResponse:
        """Answer with whatever ``read_new`` finds, again and again, until the client goes.

        Raises:
            NotReady: too many streams are open.
        """
        if self._open >= self._streams_max:
            raise NotReady(f"{self._streams_max} streams are open already", hint="close one first")
        return StreamingResponse(
            self._events(read_new, poll_s),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    async def _events(self, read_new: Callable[[], Batch], poll_s: float) -> AsyncIterator[bytes]:
        self._open += 1
        quiet_s = 0.0
        try:
            yield b": connected\n\n"
            while True:
                batch = await run_in_threadpool(read_new)
                for event_id, value in batch:
                    yield f"id: {event_id}\ndata: {json.dumps(value)}\n\n".encode()
                quiet_s = 0.0 if batch else quiet_s + poll_s
                if quiet_s >= HEARTBEAT_S:
                    quiet_s = 0.0
                    yield b": still here\n\n"
                await asyncio.sleep(poll_s)
        finally:
            self._open -= 1


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedLine:
    """One line that a replica wrote."""

    replica: str
    at: str
    """RFC 3339 time at which it was captured."""
    stream: str
    """``stdout`` or ``stderr``."""
    text: str


class NewLines:
    """Remembers, for each replica, which of its lines were sent already."""

    def __init__(
        self, read: Callable[[int], Iterable[LoggedLine]], *, tail: int, tail_max: int
    ) -> None:
        self._read = read
        self._tail = tail
        self._tail_max = tail_max
        self._last: dict[str, LoggedLine] = {}
        self._is_first = True
        self._count = 0

    def __call__(self) -> Batch:
        """Return the lines after those seen."""
        lines = list(self._read(self._tail if self._is_first else self._tail_max))
        self._is_first = False
        start = {line.replica: position + 1 for position, line in self._seen(lines)}
        found = []
        for position, line in enumerate(lines):
            if position >= start.get(line.replica, 0):
                self._count += 1
                self._last[line.replica] = line
                found.append((str(self._count), asdict(line)))
        return found

    def _seen(self, lines: list[LoggedLine]) -> Iterator[tuple[int, LoggedLine]]:
        for position, line in enumerate(lines):
            if self._last.get(line.replica) == line:
                yield position, line


EVENTS_WAITING_MAX = 1000
"""A client that reads slower loses the oldest news, never the result."""
QUIET_S = 5.0

Build = Callable[[Callable[[BuildEvent], None]], BuildRecord]


def live(build: Build) -> StreamingResponse:
    """Answer with the events of a build, and with how it ended."""
    return StreamingResponse(
        _lines(build), media_type="application/x-ndjson", headers={"x-accel-buffering": "no"}
    )


def _lines(build: Build) -> Iterator[bytes]:
    waiting: queue.Queue[BuildEvent | None] = queue.Queue(EVENTS_WAITING_MAX)

    def say(event: BuildEvent | None) -> None:
        if waiting.full():
            waiting.get_nowait()
        waiting.put_nowait(event)

    # The thread ends with the build, whose duration the builder bounds.
    with ThreadPoolExecutor(1, "image-build") as pool:
        work = pool.submit(build, say)
        work.add_done_callback(lambda _: say(None))
        while True:
            try:
                event = waiting.get(timeout=QUIET_S)
            except queue.Empty:
                # A line in silence shows a dead connection to both sides.
                yield b"\n"
                continue
            if event is None:
                break
            yield _line({"event": {**asdict(event), "line": event.line}})
        yield _line(_end(work))


def _end(work: Future[BuildRecord]) -> dict[str, Any]:
    try:
        return {"built": asdict(work.result())}
    except PlatformError as error:
        return {"status": status_of(error), **body_of(error)}
    except Exception:  # the headers are sent, so no handler of the application can answer
        log.exception("image_build_failed")
        fault = PlatformError(
            "the control plane met a fault of its own",
            hint="its log in the home folder's logs/ says more",
        )
        return {"status": 500, **body_of(fault)}


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, default=str).encode() + b"\n"
