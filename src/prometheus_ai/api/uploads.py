"""Receiving a streamed body on a worker thread, a piece at a time."""

from collections.abc import Callable, Iterable, Iterator

import anyio
from anyio import CapacityLimiter, from_thread, to_thread
from fastapi import Request
from starlette.requests import ClientDisconnect

from prometheus_ai.domain.errors import InvalidInput, NotReady

UPLOADS_MAX = 8
"""Uploads at once; each holds a thread and writes to one disk."""
PIECE_TIMEOUT_S = 60.0


async def receive(request: Request, store: Callable[[Iterable[bytes]], str]) -> str:
    """Hand the body to ``store`` as it arrives, and return what that returns.

    Raises:
        InvalidInput: the client went away, or stopped sending.
    """
    pieces = request.stream()

    async def next_piece() -> bytes | None:
        with anyio.fail_after(PIECE_TIMEOUT_S):
            return await anext(pieces, None)

    def body() -> Iterator[bytes]:
        while (piece := from_thread.run(next_piece)) is not None:
            if piece:
                yield piece

    limiter: CapacityLimiter = request.app.state.uploads
    if limiter.borrowed_tokens >= limiter.total_tokens:
        raise NotReady(f"{UPLOADS_MAX} uploads are under way already")
    try:
        return await to_thread.run_sync(lambda: store(body()), limiter=limiter)
    except TimeoutError as error:
        raise InvalidInput(
            f"the upload stood still for {PIECE_TIMEOUT_S:g} s; nothing was kept"
        ) from error
    except ClientDisconnect as error:
        raise InvalidInput("the upload broke off; nothing was kept") from error
