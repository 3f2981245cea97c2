"""An asyncio event loop whose selector hands sockets' events straight to their owners.

asyncio makes a handle for each event, and runs it later.
A server of many small requests spends as much on that as on the requests.
"""

import asyncio
import contextlib
import math
import select
import selectors
from collections.abc import Callable, Mapping
from contextvars import Context
from threading import Lock
from typing import Any, TypeVarTuple

from prometheus_ai_runtime.sockets.busy_poll import BusyPoll

_Ts = TypeVarTuple("_Ts")

_EVENTS_MAX = 1024
"""Events taken in one turn; more of them wait in the kernel."""

OnEvents = Callable[[int], None]
"""Told what epoll says of a socket; must not raise."""


class DirectSelector(selectors.BaseSelector):
    """epoll for two kinds of files: those that asyncio watches, and those with an owner to call."""

    def __init__(self, busy_poll_s: float = 0.0) -> None:
        self._epoll = select.epoll()
        self._wait = (
            BusyPoll(self._epoll.poll, busy_poll_s).poll if busy_poll_s else self._epoll.poll
        )
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._owners: dict[int, OnEvents] = {}
        self.awake = Lock()
        """Held by whoever runs the loop's callbacks, and free while the selector waits."""
        self.awake.acquire()

    def attach(self, fd: int, events: int, owner: OnEvents) -> None:
        """Call the owner whenever one of these events is there."""
        self._epoll.register(fd, events)
        self._owners[fd] = owner

    def turn(self, fd: int, owner: OnEvents) -> None:
        """Call another owner from now on."""
        self._owners[fd] = owner

    def change(self, fd: int, events: int) -> None:
        """Wait for other events."""
        self._epoll.modify(fd, events)

    def detach(self, fd: int) -> None:
        """Call nobody any more."""
        del self._owners[fd]
        self._epoll.unregister(fd)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Call the owners, and return what there is for asyncio."""
        if timeout is None:
            wait_s = -1.0
        else:
            # epoll counts in milliseconds; less than one must not become a busy loop.
            wait_s = max(0.0, math.ceil(timeout * 1e3) * 1e-3)
        ready: list[tuple[selectors.SelectorKey, int]] = []
        owners = self._owners
        self.awake.release()
        try:
            found = self._wait(wait_s, _EVENTS_MAX)
        finally:
            self.awake.acquire()
        for fd, events in found:
            owner = owners.get(fd)
            if owner is not None:
                owner(events)
                continue
            key = self._keys.get(fd)
            if key is not None:
                ready.append((key, _asyncio_events(events) & key.events))
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a file for asyncio."""
        key = selectors.SelectorKey(fileobj, _fd_of(fileobj), events, data)
        if key.fd in self._keys:
            raise KeyError(f"{fileobj!r} is registered already")
        self._epoll.register(key.fd, _epoll_events(events))
        self._keys[key.fd] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Watch a file no more."""
        key = self._keys.pop(_fd_of(fileobj))
        # A file that was closed before has left epoll by itself.
        with contextlib.suppress(OSError):
            self._epoll.unregister(key.fd)
        return key

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return the files that asyncio watches, by number."""
        return self._keys

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """Return how asyncio watches a file; raises KeyError."""
        return self._keys[_fd_of(fileobj)]

    def close(self) -> None:
        """Give epoll back."""
        self._epoll.close()
        self._keys.clear()
        self._owners.clear()


class DirectLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on a selector that calls owners."""

    def __init__(self, busy_poll_s: float = 0.0) -> None:
        self.direct = DirectSelector(busy_poll_s)
        self._called = False
        super().__init__(self.direct)

    def visit(self, function: Callable[..., object], *args: Any) -> bool:
        """Run a function on this thread as if it were the loop's, if the loop sleeps; say whether it ran.

        Waking the loop for it would cost more than many an answer takes to write.
        """
        awake = self.direct.awake
        if self.get_debug() or not awake.acquire(blocking=False):
            return False
        self._called = False
        try:
            function(*args)
        except Exception as error:  # noqa: BLE001 - as a callback of the loop
            self.call_exception_handler({"message": "a visit failed", "exception": error})
        finally:
            called = self._called
            awake.release()
        if called:
            self.call_soon_threadsafe(_nothing)
        return True

    def call_soon(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As of any loop; a visitor's makes the loop wake up."""
        self._called = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As of any loop; a visitor's makes the loop wake up."""
        self._called = True
        return super().call_at(when, callback, *args, context=context)


def new_loop(busy_poll_s: float = 0.0) -> asyncio.AbstractEventLoop:
    """Return a direct loop, or asyncio's own where there is no epoll."""
    return DirectLoop(busy_poll_s) if hasattr(select, "epoll") else asyncio.new_event_loop()


def _nothing() -> None:
    """Wake the loop."""


def _fd_of(fileobj: Any) -> int:
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())


def _epoll_events(events: int) -> int:
    reads = select.EPOLLIN if events & selectors.EVENT_READ else 0
    return reads | (select.EPOLLOUT if events & selectors.EVENT_WRITE else 0)


def _asyncio_events(events: int) -> int:
    reads = selectors.EVENT_READ if events & ~select.EPOLLOUT else 0
    return reads | (selectors.EVENT_WRITE if events & ~select.EPOLLIN else 0)
