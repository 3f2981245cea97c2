"""One thread that watches every live replica: health by asking, ends by the kernel's word."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import structlog

from prometheus_ai.adapters.drivers.local.live import Replica
from prometheus_ai.adapters.server_state import from_answer, from_silence
from prometheus_ai.adapters.state_client import NoAnswer, StateClient
from prometheus_ai.domain.replica import ReplicaPhase

STARTING_PAUSE_S = 0.05
SLOW_STARTING_PAUSE_S = 0.25
FAST_STARTING_S = 10.0
PAUSE_S = 1.0
FAULT_PAUSE_S = 5.0
CLOSE_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)


class Prober:
    """Owns the thread; ``on_change`` is called from it whenever a replica changed phase or endpoint."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._wakes: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="local-driver-prober", daemon=True)
        self._thread.start()
        self._ready.wait()

    def watch(self, replica: Replica) -> Future[None]:
        """Watch a replica until it ended; the result is done after the first look at it."""
        looked: Future[None] = Future()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._add, replica, looked)
        return looked

    def wake(self, replica_id: str) -> None:
        """Look at a replica again now."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._wake, replica_id)

    def close(self) -> None:
        """End the thread; replicas go on."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _add(self, replica: Replica, looked: Future[None]) -> None:
        task = asyncio.get_running_loop().create_task(self._watch(replica, looked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wake(self, replica_id: str) -> None:
        if replica_id in self._wakes:
            self._wakes[replica_id].set()

    async def _watch(self, replica: Replica, looked: Future[None]) -> None:
        watch = _Watch(replica)
        self._wakes[replica.order.id] = watch.wake
        try:
            while not replica.has_ended:
                try:
                    changed = await watch.look()
                    pause_s = watch.pause_s()
                except Exception:  # or the replica would be lost from view
                    log.exception("replica_watch_failed", replica=replica.order.id)
                    changed, pause_s = False, FAULT_PAUSE_S
                if not looked.done():
                    looked.set_result(None)
                if changed:
                    self._on_change()
                if not replica.has_ended:
                    await watch.sleep(pause_s)
        finally:
            watch.close()
            self._wakes.pop(replica.order.id, None)
            if not looked.done():
                looked.set_result(None)


class _Watch:
    """Watching one replica: its process handle and its connection."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.wake = asyncio.Event()
        self._since = time.monotonic()
        self._client: StateClient | None = None
        self._shim = -1
        self._is_gone = False

    async def look(self) -> bool:
        """Look once; return whether something changed."""
        replica = self.replica
        replica.refresh()
        self._open_handle()
        if self._is_gone or (self._shim < 0 and not replica.folder.is_locked):
            # Sweeping orphans reads all of /proc; it belongs on a thread of its own.
            await asyncio.to_thread(replica.end)
            self._reap()
            return True
        replica.kill_late_shim()
        if replica.announced is None:
            return False
        if self._client is None:
            self._client = StateClient(replica.announced.host, replica.announced.port)
        try:
            state = await self._client.state()
        except NoAnswer as error:
            silent_s = time.monotonic() - replica.answered_at
            progress_s = replica.order.progress_s
            return replica.take(from_silence(replica.health, silent_s, progress_s, str(error)))
        replica.answered_at = time.monotonic()
        return replica.take(from_answer(replica.health, state))

    def pause_s(self) -> float:
        """Return how long to wait before the next look."""
        if self.replica.health.phase is ReplicaPhase.STARTING:
            is_fast = time.monotonic() - self._since < FAST_STARTING_S
            return STARTING_PAUSE_S if is_fast else SLOW_STARTING_PAUSE_S
        return PAUSE_S

    async def sleep(self, pause_s: float) -> None:
        """Wait that long, or until woken."""
        try:
            async with asyncio.timeout(pause_s):
                await self.wake.wait()
        except TimeoutError:
            pass
        self.wake.clear()

    def close(self) -> None:
        """Release handle and connection."""
        if self._client is not None:
            self._client.close()
        self._close_handle()

    def _open_handle(self) -> None:
        if self._shim >= 0 or self._is_gone or self.replica.started is None:
            return
        try:
            handle = os.pidfd_open(self.replica.started.shim_pid)
        except OSError:
            return
        # A lock held after the handle was opened proves that the number was the shim's.
        if self.replica.folder.is_locked:
            self._shim = handle
            asyncio.get_running_loop().add_reader(handle, self._on_gone)
        else:
            os.close(handle)
            self._is_gone = True

    def _on_gone(self) -> None:
        self._is_gone = True
        self._close_handle()
        self.wake.set()

    def _close_handle(self) -> None:
        if self._shim >= 0:
            asyncio.get_running_loop().remove_reader(self._shim)
            os.close(self._shim)
            self._shim = -1

    def _reap(self) -> None:
        if self.replica.started is not None:
            # A shim started by an earlier control plane is no child of ours; init reaps it.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.replica.started.shim_pid, os.WNOHANG)
