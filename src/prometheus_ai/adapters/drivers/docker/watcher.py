"""One thread that watches an engine: what exists by listing, health by asking each server."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

import structlog

from prometheus_ai.adapters.drivers.docker.live import Replica
from prometheus_ai.adapters.drivers.docker.view import EngineView
from prometheus_ai.adapters.server_state import from_answer, from_silence
from prometheus_ai.adapters.state_client import NoAnswer, StateClient
from prometheus_ai.domain.replica import ReplicaPhase

LIST_PAUSE_S = 1.0
BUSY_LIST_PAUSE_S = 0.1
"""While a container starts or stops."""
STARTING_PAUSE_S = 0.05
SLOW_STARTING_PAUSE_S = 0.25
FAST_STARTING_S = 10.0
PAUSE_S = 1.0
FAULT_PAUSE_S = 5.0
CLOSE_TIMEOUT_S = 5.0
_MOVING = (ReplicaPhase.STARTING, ReplicaPhase.DRAINING)

log = structlog.get_logger(__name__)


class Watcher:
    """Owns the thread; ``on_change`` is called from it whenever a replica changed phase or endpoint."""

    def __init__(self, view: EngineView, on_change: Callable[[], None]) -> None:
        self._view = view
        self._on_change = on_change
        self._ready = threading.Event()
        self._looked = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._wake: asyncio.Event | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._thread = threading.Thread(target=self._run, name="docker-driver", daemon=True)
        self._thread.start()
        self._ready.wait()

    def wake(self) -> None:
        """List again now."""
        assert self._loop is not None
        assert self._wake is not None
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._wake.set)

    def wait_for_first_look(self, timeout_s: float) -> None:
        """Wait until every running replica was asked once, or the bound is over."""
        self._looked.wait(timeout_s)

    def close(self) -> None:
        """End the thread; containers go on."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop, self._wake = asyncio.Event(), asyncio.Event()
        self._ready.set()
        listing = self._loop.create_task(self._list_forever(self._wake))
        await self._stop.wait()
        for task in (listing, *self._tasks.values()):
            task.cancel()
        await asyncio.gather(listing, *self._tasks.values(), return_exceptions=True)

    async def _list_forever(self, wake: asyncio.Event) -> None:
        while True:
            pause_s = FAULT_PAUSE_S
            try:
                changed = await asyncio.to_thread(self._view.refresh)
                await asyncio.to_thread(self._view.kill_late)
                first = self._watch_running()
                if not self._looked.is_set():
                    await asyncio.gather(*first)
                    self._looked.set()
                if changed:
                    self._on_change()
                moving = any(replica.health.phase in _MOVING for replica in self._view.known())
                pause_s = BUSY_LIST_PAUSE_S if moving else LIST_PAUSE_S
            except Exception:  # or every replica would be lost from view
                log.exception("docker_watch_failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await wake.wait()
            wake.clear()

    def _watch_running(self) -> list[asyncio.Future[None]]:
        """Start watching what runs and is not watched yet; the results are done after a first look."""
        looks: list[asyncio.Future[None]] = []
        loop = asyncio.get_running_loop()
        for key in [key for key, task in self._tasks.items() if task.done()]:
            del self._tasks[key]
        for replica in self._view.known():
            container = replica.listed.container
            if replica.has_ended or not replica.is_running or container in self._tasks:
                continue
            if replica.endpoint is not None:
                looked: asyncio.Future[None] = loop.create_future()
                looks.append(looked)
                self._tasks[container] = loop.create_task(self._watch(replica, looked))
        return looks

    async def _watch(self, replica: Replica, looked: asyncio.Future[None]) -> None:
        assert replica.endpoint is not None
        client = StateClient(replica.endpoint.host, replica.endpoint.port)
        since = time.monotonic()
        try:
            while not replica.has_ended and replica.is_running:
                try:
                    changed = await self._look(replica, client)
                except Exception:  # or the replica would be lost from view
                    log.exception("replica_watch_failed", replica=replica.listed.id)
                    changed = False
                if not looked.done():
                    looked.set_result(None)
                if changed:
                    self._on_change()
                is_starting = replica.health.phase is ReplicaPhase.STARTING
                is_fast = time.monotonic() - since < FAST_STARTING_S
                starting_s = STARTING_PAUSE_S if is_fast else SLOW_STARTING_PAUSE_S
                await asyncio.sleep(starting_s if is_starting else PAUSE_S)
        finally:
            client.close()
            if not looked.done():
                looked.set_result(None)

    async def _look(self, replica: Replica, client: StateClient) -> bool:
        try:
            state = await client.state()
        except NoAnswer as error:
            silent_s = time.monotonic() - replica.answered_at
            with self._view.lock:
                health = from_silence(replica.health, silent_s, replica.progress_s, str(error))
                return replica.take(health)
        with self._view.lock:
            replica.answered_at = time.monotonic()
            return replica.take(from_answer(replica.health, state))
