"""Where requests wait for a release that sleeps: bounded, woken once for many, out of the path when warm.

It lives in the gateway's process, so it goes on while the control plane is away: requests are then held
until their deadline, and fail with a time to come back.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h11

from prometheus_ai.adapters.gateways.envoy.grpc_refusal import UNIMPLEMENTED
from prometheus_ai.adapters.gateways.envoy.held_request import (
    HOLD_HEADER,
    Caller,
    Refused,
    first_of,
    pass_on,
)
from prometheus_ai.adapters.gateways.envoy.unix_http import reachable
from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.route import HeldRelease, HeldReport, Hold, RouteTable

HEAD_S = 10.0
RETRY_S = 0.05
"""Pause before a replica that took no connection is tried again."""
CLOSE_S = 5.0
SPARE_S = 5.0
"""What a replica gets beyond its own request timeout, which it enforces itself."""
WISH_S = 5.0
"""How long a release is still said to be waited for after a request that cannot wait for it was refused."""

Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldLimits:
    """What is held at most, over all releases."""

    requests_max: int = 2000
    bytes_max: int = 64 * 2**20
    flights_max: int = 64
    """Held requests of one release that are with its replicas at once."""


@dataclass(kw_only=True)
class _Place:
    """One release: what the table says of it, and who waits."""

    hold: Hold
    answer_s: float
    endpoints: tuple[Endpoint, ...] = ()
    is_warm: asyncio.Event = field(default_factory=asyncio.Event)
    flights: asyncio.Semaphore
    waiting: int = 0
    since: float = 0.0
    """Monotonic time at which the first of those who wait came."""
    turn: int = 0


class Holding:
    """Owns one thread with an event loop, which listens on a unix socket for the gateway alone."""

    def __init__(
        self, path: Path, report: Callable[..., None], limits: HoldLimits | None = None
    ) -> None:
        self._path = path
        self._report = report
        self._limits = limits or HoldLimits()
        self._places: dict[Key, _Place] = {}
        self._requests = self._bytes = 0
        self._changed = threading.Condition()
        # Counted from the clock, so that a number of a former process is not taken for one of this.
        self._number = time.time_ns() // 1_000_000
        self._waited_for: dict[Key, int] = {}
        self._wished_until: dict[Key, float] = {}
        self._is_closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._failure: OSError | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holding", daemon=True)

    def open(self) -> None:
        """Listen.

        Raises:
            OSError: the socket cannot be made.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Answer everyone who waits that they must come back, and end the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._loop is not None and self._ended is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(2 * CLOSE_S)

    def serve(self, table: RouteTable) -> None:
        """Take a table that is in force: who waits for a release with replicas is passed on."""
        if self._loop is None or self._is_closing:
            return
        found = {
            (route.backend, release.version): release
            for route in table.backends
            for release in route.releases
            if release.hold is not None
        }
        known = {
            key: (
                release.hold,
                release.request_timeout_s,
                tuple(r.endpoint for r in release.replicas if not r.is_draining),
            )
            for key, release in found.items()
            if release.hold is not None
        }
        self._loop.call_soon_threadsafe(self._take, known)

    def held(self, after: int, wait_s: float) -> HeldReport:
        """Return who is waited for; see the port ``Activator``."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._number != after or self._is_closing, timeout=wait_s
            )
            now = time.monotonic()
            wished = {key: 1 for key, until in self._wished_until.items() if until > now}
            releases = tuple(
                HeldRelease(backend=key[0], version=key[1], requests=count)
                for key, count in sorted((wished | self._waited_for).items())
            )
            return HeldReport(number=self._number, releases=releases)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._path.unlink(missing_ok=True)
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._converse(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        try:
            with reachable(self._path) as spelling:
                former = os.umask(0o177)
                try:
                    server = await asyncio.start_unix_server(accept, spelling, backlog=1024)
                finally:
                    os.umask(former)
        except OSError as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        await self._ended.wait()
        server.close()
        self._path.unlink(missing_ok=True)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, known: dict[Key, tuple[Hold, float, tuple[Endpoint, ...]]]) -> None:
        for key in [key for key in self._places if key not in known]:
            self._places.pop(key).is_warm.set()
        for key, (hold, answer_s, endpoints) in known.items():
            place = self._places.get(key)
            if place is None:
                flights = asyncio.Semaphore(self._limits.flights_max)
                place = _Place(hold=hold, answer_s=answer_s, flights=flights)
                self._places[key] = place
            place.hold, place.answer_s, place.endpoints = hold, answer_s, endpoints
            if endpoints:
                place.is_warm.set()
                with self._changed:
                    self._wished_until.pop(key, None)
            else:
                place.is_warm.clear()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = Caller(reader=reader, writer=writer)
        try:
            await self._hold(caller)
        except Refused as refused:
            await _tell(caller, refused)
        except asyncio.CancelledError:
            await _tell(caller, Refused("the gateway is restarting; try again in a moment"))
        except h11.RemoteProtocolError as error:
            await _tell(caller, Refused(f"no HTTP was understood: {error}", status=502))
        except (OSError, TimeoutError, h11.LocalProtocolError) as error:
            await _tell(caller, Refused(f"the replica broke off: {error}"))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _hold(self, caller: Caller) -> None:
        async with asyncio.timeout(HEAD_S):
            request = await caller.head()
        if request is None:
            return
        headers = dict(request.headers)
        name = headers.get(HOLD_HEADER, b"").decode(errors="replace")
        backend, _, version = name.partition("/")
        key = (backend, version)
        place = self._places.get(key)
        if place is None:
            raise Refused(f"nothing is known of a release {name!r}; try again in a moment")
        deadline = time.monotonic() + place.hold.wait_s
        with self._counted(key, place), self._taking(key, place) as take:
            try:
                if caller.is_grpc or b"upgrade" in headers:
                    await self._send_again(key, place, deadline, (caller, take))
                else:
                    async with asyncio.timeout_at(_loop_time(deadline)):
                        body = await caller.body(take)
                    await self._pass_on(key, place, deadline, (caller, request, body))
            except TimeoutError:
                waited = f"it was not ready within {place.hold.wait_s:g} s"
                raise self._later(key, place, waited) from None

    @contextlib.contextmanager
    def _taking(self, key: Key, place: _Place) -> Iterator[Callable[[int], None]]:
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if self._bytes + size > self._limits.bytes_max:
                raise self._later(key, place, "as many bytes are held as may be")
            taken += size
            self._bytes += size

        try:
            yield take
        finally:
            self._bytes -= taken

    async def _send_again(
        self, key: Key, place: _Place, deadline: float, held: tuple[Caller, Callable[[int], None]]
    ) -> None:
        """Hold a call or an upgrade, and refuse it when its release is awake.

        The gateway has kept what it sent, and sends it again past this place: a stream goes on there.
        """
        caller, take = held

        async def listen() -> None:
            await caller.body(take)
            await caller.gone()

        if not await first_of(place.is_warm.wait(), listen(), deadline - time.monotonic()):
            return
        if self._places.get(key) is not place:
            raise self._later(key, place, "it was replaced meanwhile")
        if caller.is_grpc and all(one.grpc_port is None for one in place.endpoints):
            refused = Refused(f"release {key[0]}/{key[1]} takes no gRPC")
            refused.grpc_status = UNIMPLEMENTED
            raise refused
        refused = Refused(f"release {key[0]}/{key[1]} is awake now; send it again")
        refused.is_awake = True
        raise refused

    async def _pass_on(
        self,
        key: Key,
        place: _Place,
        deadline: float,
        held: tuple[Caller, h11.Request, list[bytes]],
    ) -> None:
        caller, request, body = held
        while True:
            left_s = deadline - time.monotonic()
            if not await first_of(_ready(place), caller.gone(), left_s):
                return
            if self._places.get(key) is not place:
                place.flights.release()
                raise self._later(key, place, "it was replaced meanwhile")
            place.turn += 1
            # A table that no longer names the release lets everyone go above, so there is a replica.
            endpoint = place.endpoints[place.turn % len(place.endpoints)]
            try:
                answer = pass_on(request, body, endpoint, caller)
                await first_of(answer, caller.gone(), place.answer_s + SPARE_S)
            except ConnectionRefusedError:
                # It ended just now: the next table says what there is instead.
                await asyncio.sleep(RETRY_S)
            except TimeoutError as error:
                raise ConnectionError("it did not answer in time") from error
            else:
                return
            finally:
                place.flights.release()

    @contextlib.contextmanager
    def _counted(self, key: Key, place: _Place) -> Iterator[None]:
        if self._requests >= self._limits.requests_max:
            raise self._later(key, place, "as many requests are held as may be")
        self._count(key, place, 1)
        try:
            yield
        finally:
            self._count(key, place, -1)

    def _count(self, key: Key, place: _Place, change: int) -> None:
        self._requests += change
        place.waiting += change
        with self._changed:
            if place.waiting:
                self._waited_for[key] = place.waiting
            else:
                self._waited_for.pop(key, None)
            if change > 0 and place.waiting == 1:
                place.since = time.monotonic()
                self._number += 1
                self._changed.notify_all()
                self._report("waking", release=f"{key[0]}/{key[1]}")

    def _later(self, key: Key, place: _Place, why: str) -> Refused:
        """Return the refusal of a request for a release that sleeps, which is woken nevertheless."""
        with self._changed:
            now = time.monotonic()
            self._wished_until = {k: at for k, at in self._wished_until.items() if at > now}
            if key not in self._waited_for and key not in self._wished_until:
                self._number += 1
                self._changed.notify_all()
            self._wished_until[key] = now + WISH_S
        waited_s = time.monotonic() - place.since if place.waiting else 0.0
        left_s = place.hold.start_s - waited_s
        return Refused(
            f"release {key[0]}/{key[1]} is asleep and being woken; {why}",
            # A start that takes longer than nine in ten says nothing of when it ends.
            retry_after_s=left_s if left_s > 0 else place.hold.start_s,
        )


async def _ready(place: _Place) -> None:
    """Wait for a replica, and for a turn with it."""
    while True:
        await place.is_warm.wait()
        await place.flights.acquire()
        if place.is_warm.is_set():
            return
        # The last replica went while others had their turns.
        place.flights.release()


def _loop_time(monotonic: float) -> float:
    return asyncio.get_running_loop().time() + monotonic - time.monotonic()


async def _tell(caller: Caller, refused: Refused) -> None:
    with contextlib.suppress(OSError, TimeoutError, h11.LocalProtocolError):
        async with asyncio.timeout(CLOSE_S):
            await caller.refuse(refused)
            # Closing over unread bytes would break the connection before the answer was read.
            caller.writer.write_eof()
            await caller.gone()
