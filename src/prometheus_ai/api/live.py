"""Long work that tells what happens: JSON lines over one answer."""

import json
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import structlog
from starlette.responses import StreamingResponse

from prometheus_ai.api.errors import body_of, status_of
from prometheus_ai.domain.errors import PlatformError
from prometheus_ai.domain.image import BuildEvent, BuildRecord

log = structlog.get_logger()

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
