"""The inputs of the batch that will be next, put together and prepared while another one runs."""

from collections.abc import Sequence
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from prometheus_ai_runtime.batching.engine_call import EngineCall
from prometheus_ai_runtime.batching.work import Work


class Ready:
    """What the model makes of one batch's inputs; made once, by whichever thread is first."""

    __slots__ = ("_call", "_lock", "_made", "works")

    def __init__(self, call: EngineCall, works: Sequence[Work]) -> None:
        self.works = works
        self._call = call
        self._lock = Lock()
        self._made: list[Any] = []

    def get(self) -> Any:
        """Give what was prepared; raises what the model raised. Waits as long as the model prepares."""
        with self._lock:
            if not self._made:
                self._made.append(self._call.prepare(self.works))
            return self._made[0]


class Ahead:
    """Prepares at most one batch ahead, on a thread that belongs to the model.

    It guesses which works come next and leaves them in the queue.
    A guess that proves wrong costs some work, and nothing else.
    """

    def __init__(self, name: str, call: EngineCall) -> None:
        self._call = call
        self._ready: Ready | None = None
        self._jobs: SimpleQueue[Ready | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=f"prepare-{name}", daemon=True)
        self._thread.start()

    @property
    def is_free(self) -> bool:
        """Whether no batch is prepared or being prepared."""
        return self._ready is None

    def begin(self, works: Sequence[Work]) -> None:
        """Prepare the batch that is expected to be next."""
        self._ready = Ready(self._call, works)
        self._jobs.put(self._ready)

    def take(self, works: Sequence[Work]) -> Ready | None:
        """Give what was prepared for exactly these works, and be free for others."""
        ready, self._ready = self._ready, None
        return ready if ready is not None and ready.works == works else None

    def close(self) -> None:
        """End the thread when it has prepared what it prepares."""
        self._ready = None
        self._jobs.put(None)

    def _work(self) -> None:
        while (ready := self._jobs.get()) is not None:
            # Nobody wants it any more if the engine was quicker, or took other works.
            if ready is self._ready:
                try:
                    ready.get()
                except Exception:  # noqa: BLE001, S112 - it is raised again where the batch runs
                    continue
