"""Models that yield: one request at a time on the engine thread, piece by piece to the client."""

from collections.abc import Callable
from threading import Semaphore
from typing import Any

from numpy.typing import NDArray

from prometheus_ai_runtime.batching.engine_call import EngineCall, failure_of
from prometheus_ai_runtime.batching.work import Work
from prometheus_ai_runtime.errors import RequestError

_PIECES_UNDER_WAY_MAX = 64

Piece = list[NDArray[Any]]


class Window:
    """How many pieces may be on their way to one client; a slow client slows its model, not memory."""

    __slots__ = ("_free", "cancelled", "last_piece_at")

    def __init__(self) -> None:
        self._free = Semaphore(_PIECES_UNDER_WAY_MAX)
        self.cancelled = False
        self.last_piece_at = 0.0

    def enter(self) -> bool:
        """Wait for room, on the engine thread; false when the client is gone."""
        self._free.acquire()
        return not self.cancelled

    def leave(self) -> None:
        """A piece was handed to the kernel."""
        self._free.release()

    def cancel(self) -> None:
        """The client is gone: let the engine thread find out at once."""
        self.cancelled = True
        self._free.release()


def run_stream(
    call: EngineCall, work: Work, window: Window, give: Callable[[Piece], None]
) -> RequestError | None:
    """Run a streaming request to its end; gives the error that ended it, if one did."""
    try:
        pieces = call.stream(work)
        try:
            for piece in pieces:
                if not window.enter():
                    break
                give(piece)
        finally:
            pieces.close()
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        return failure_of(error)
    return None
