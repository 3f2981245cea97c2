"""The queue of one model and the turn-taking with its engine; lives on the event loop."""

import asyncio
import math
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from time import perf_counter

from prometheus_ai_runtime.batching.ahead import Ahead, Ready
from prometheus_ai_runtime.batching.curve import LatencyCurve
from prometheus_ai_runtime.batching.engine_call import EngineCall, Segment, failure_of
from prometheus_ai_runtime.batching.gathering import Gathering
from prometheus_ai_runtime.batching.lineup import Bounds, Lineup
from prometheus_ai_runtime.batching.stats import ModelStats
from prometheus_ai_runtime.batching.streaming import Piece, run_stream
from prometheus_ai_runtime.batching.work import BatchResult, Work
from prometheus_ai_runtime.config import Batching
from prometheus_ai_runtime.errors import DeadlinePassed, Overloaded, RequestError, Unavailable
from prometheus_ai_runtime.log import log
from prometheus_ai_runtime.watch.cgroup import Throttling

_RETRY_AFTER_S_MAX = 60
_TIMER_S = 0.002
"""How late a timer may be; who waits for more rows under a latency bound starts so much earlier."""

Visit = Callable[..., bool]
"""Runs a function as if on the event loop where the loop sleeps; says whether it did."""


class Batcher:
    """Runs whatever is queued when the engine is free.

    Every submitted work is completed or failed exactly once, on the event loop, unless it was
    cancelled. Tiny batches run inline; others on one thread that belongs to the model.
    """

    def __init__(
        self, name: str, options: Batching, stats: ModelStats, throttling: Throttling
    ) -> None:
        self.name = name
        self.options = options
        self.stats = stats
        self.curve = LatencyCurve()
        self.lineup = Lineup()
        self.busy_since: float | None = None
        """When the running engine call was started; the liveness check reads it."""
        self.running: Sequence[Work] = ()
        self._unanswered: list[Sequence[Work]] = []
        """Batches that the engine is done with, and whose answers the loop is about to write."""
        self._throttling = throttling
        self._call: EngineCall | None = None
        self._loop = asyncio.get_running_loop()
        self._visit: Visit = getattr(self._loop, "visit", _no_visits)
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._jobs: SimpleQueue[tuple[list[Work], Ready | None] | None] = SimpleQueue()
        self._ahead: Ahead | None = None
        self._thread: Thread | None = None
        self._queue_rows_max = options.queue_rows_max
        self._wait_s = options.wait_ms_max / 1e3
        self._inline_s_max = 0.0
        self._gathering = Gathering()

    def open(self, call: EngineCall, inline_us_max: float) -> None:
        """Start taking work; batches expected to be shorter than the bound run on the event loop."""
        self._call = call
        self._inline_s_max = inline_us_max / 1e6

    def submit(self, work: Work) -> None:
        """Queue work; raises Overloaded or Unavailable, and then the work was not taken."""
        lineup = self.lineup
        if self._call is None:
            self.stats.rejected += 1
            refusal = Unavailable(f"model `{self.name}` is not loaded")
            refusal.release = self.name
            raise refusal
        full = lineup.rows + work.rows > self._queue_rows_max
        if full and (lineup.rows or self.busy_since is not None):
            raise self._overloaded(f"{lineup.rows} rows are queued for `{self.name}`")
        if work.tenant and self.options.tenant_rows_max is not None:
            queued = lineup.rows_by_tenant.get(work.tenant, 0)
            if queued and queued + work.rows > self.options.tenant_rows_max:
                raise self._overloaded(f"{queued} rows of tenant `{work.tenant}` are queued")
        self._queue(work)

    def offer(self, work: Work) -> bool:
        """Queue one row without a tenant if it may be; ``submit`` says why it may not."""
        if self._call is None or self.lineup.rows >= self._queue_rows_max:
            return False
        self._queue(work)
        return True

    def cancel(self, work: Work) -> None:
        """Give up work whose client went away; what already runs, runs on unseen."""
        if work.settled:
            return
        work.settled = True
        self.stats.cancelled += 1
        if work.window is not None:
            work.window.cancel()
        if not any(work is w for works in (self.running, *self._unanswered) for w in works):
            self.lineup.discard(work)

    def expire(self, now: float) -> None:
        """Fail waiting and running work whose deadline has passed."""
        for work in [w for w in self.lineup if w.deadline <= now]:
            self.lineup.discard(work)
            self._fail_late(work)
        for work in self.running:
            if not work.settled and work.deadline <= now:
                self._fail_late(work)

    def close(self, reason: str) -> None:
        """Refuse what waits and stop the thread; the model itself is closed by its host."""
        self._call = None
        for work in list(self.lineup):
            self.lineup.discard(work)
            self._fail(work, Unavailable(reason))
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._jobs.put(None)
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def active(self) -> int:
        """Requests taken and not yet answered."""
        waiting = sum(1 for _ in self.lineup)
        taken = (self.running, *self._unanswered)
        return waiting + sum(not w.settled for works in taken for w in works)

    def retry_after_s(self) -> int:
        """Seconds until the queue as it is will have drained, from the measured rate."""
        rate = self.stats.drain_rate()
        if rate <= 0.0:
            return 1
        return max(1, min(_RETRY_AFTER_S_MAX, math.ceil(self.lineup.rows / rate)))

    def _overloaded(self, what: str) -> Overloaded:
        self.stats.rejected += 1
        wait_s = self.retry_after_s()
        overloaded = Overloaded(f"{what}; try again in {wait_s} s", retry_after_s=wait_s)
        overloaded.release = self.name
        return overloaded

    def _queue(self, work: Work) -> None:
        """Put work in the line, and see to it that somebody looks there."""
        self.lineup.push(work)
        if not self._scheduled:
            if self.busy_since is None:
                # One turn of the loop later, every request that arrived together is in the queue.
                self._scheduled = True
                self._loop.call_soon(self._flush)
            elif self._ahead is not None:
                self._look_ahead()
        elif self._timer is not None:
            self._look_again()

    def _look_again(self) -> None:
        """More rows came while an idle engine waits for them: they may be enough."""
        assert self._timer is not None, "the caller checked"
        self._timer.cancel()
        self._timer = None
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        self._timer = None
        if self.busy_since is not None or not self.lineup.rows:
            return
        now = perf_counter()
        if self._gathering.waits(now, self.lineup.rows):
            self._scheduled = True
            self._loop.call_soon(self._flush)
            return
        if self._wait_s and self._waiting(now):
            return
        works, late = self.lineup.take(now, self._bounds(now))
        for work in late:
            self._fail_late(work)
        if works:
            self._start(works, now)

    def _waiting(self, now: float) -> bool:
        """Whether an idle engine waits for more rows: not once a batch is full, nor too long for it."""
        options, rows = self.options, self.lineup.rows
        if rows >= min(options.preferred_rows, default=options.rows_max):
            return False
        cost_max = options.cost_max
        if cost_max is not None and max(w.cost for w in self.lineup) * rows >= cost_max:
            return False
        left_s = self._wait_s
        if options.latency_ms_max is not None:
            run_s = self.curve.predict(rows + 1) + _TIMER_S
            left_s = min(left_s, options.latency_ms_max / 1e3 - run_s)
        left_s -= now - self.lineup.oldest()
        if left_s <= 0.0:
            return False
        self._scheduled = True
        self._timer = self._loop.call_later(left_s, self._flush)
        return True

    def _bounds(self, now: float) -> Bounds:
        options = self.options
        rows = options.rows_max
        if options.latency_ms_max is not None:
            bound_s = options.latency_ms_max / 1e3
            left_s = bound_s - (now - self.lineup.oldest())
            if self.curve.predict(1) > left_s:
                # The oldest is late whatever is done; one row at a time, all behind it would be too.
                left_s = bound_s
            rows = self.curve.rows_within(left_s, rows)
        if options.preferred_rows:
            fitting = [n for n in options.preferred_rows if n <= min(rows, self.lineup.rows)]
            rows = max(fitting, default=rows)
        return Bounds(rows, options.cost_max)

    def _start(self, works: list[Work], now: float) -> None:
        self.busy_since = now
        self.running = works
        rows = sum([w.rows for w in works])
        expected_s = self.curve.predict(rows)
        if 0.0 < expected_s <= self._inline_s_max and works[0].window is None:
            call = self._call
            assert call is not None, "a closed batcher starts nothing"
            self._settle(works, call.run(works))
            return
        if self._thread is None:
            self._begin_threads()
        ahead = self._ahead
        self._jobs.put((works, None if ahead is None else ahead.take(works)))
        if ahead is not None:
            self._look_ahead()

    def _begin_threads(self) -> None:
        self._thread = Thread(target=self._work, name=f"engine-{self.name}", daemon=True)
        self._thread.start()
        # Under a latency bound the next batch's size is known only when it begins.
        if self._call is not None and self._call.prepares and self.options.latency_ms_max is None:
            self._ahead = Ahead(self.name, self._call)

    def _look_ahead(self) -> None:
        """Prepare the next batch once it is full: nobody who comes now can still join it."""
        ahead, rows_max = self._ahead, self.options.rows_max
        if ahead is None or not ahead.is_free or self.lineup.rows < rows_max:
            return
        works = self.lineup.foresee(perf_counter(), Bounds(rows_max, self.options.cost_max))
        if works and sum([w.rows for w in works]) <= rows_max:
            ahead.begin(works)

    def _work(self) -> None:
        """The engine thread: one batch after the other until told to stop."""
        while (job := self._jobs.get()) is not None:
            works, ready = job
            call = self._call
            if call is None:
                error = Unavailable(f"model `{self.name}` was unloaded")
                segments: list[Segment] = [(works, error)]
            elif works[0].window is not None:
                segments = [(works, self._stream(call, works[0]))]
            else:
                try:
                    segments = call.run(works, None if ready is None else ready.get)
                except BaseException as fault:  # noqa: BLE001
                    # An interpreter-level fault must not leave the queue waiting for ever.
                    segments = [(works, failure_of(RuntimeError(repr(fault))))]
            # Pieces of a stream are on their way to the loop, and must come before its end.
            if works[0].window is not None or not self._visit(self._hand_in, works, segments):
                try:
                    self._loop.call_soon_threadsafe(self._hand_over, works, segments)
                except RuntimeError:
                    return

    def _stream(self, call: EngineCall, work: Work) -> BatchResult | RequestError:
        """Run a stream on the engine thread."""
        started = perf_counter()

        def give(piece: Piece) -> None:
            self._loop.call_soon_threadsafe(self._piece, work, piece)

        error = run_stream(call, work, work.window, give)
        if error is not None:
            return error
        result = BatchResult([], work.rows, call.plan.batched)
        result.started = started
        result.compute_s = perf_counter() - started
        return result

    def _piece(self, work: Work, piece: Piece) -> None:
        now = perf_counter()
        if self.busy_since is not None:
            # Every piece is progress.
            self.busy_since = now
        if work.settled:
            work.window.leave()
            return
        # The deadline was for the first piece; from then on progress is what counts.
        work.deadline = math.inf
        self.stats.piece(now, work.arrived, work.window.last_piece_at)
        work.window.last_piece_at = now
        work.piece(piece)

    def _settle(self, works: Sequence[Work], segments: list[Segment]) -> None:
        """Answer a batch that ran on the event loop."""
        self._end(works)
        self._answer(segments)

    def _hand_over(self, works: Sequence[Work], segments: list[Segment]) -> None:
        """Give the engine its next batch before the answers of this one are encoded."""
        if not self._end(works) and not self._scheduled:
            self._flush()
        self._answer(segments)

    def _hand_in(self, works: Sequence[Work], segments: list[Segment]) -> None:
        """Do the same on the engine's thread; with a next batch, the loop has to write the answers."""
        if not self._end(works) and not self._scheduled:
            self._flush()
        if self.busy_since is None:
            self._answer(segments)
        else:
            self._unanswered.append(works)
            self._loop.call_soon(self._answer_first, segments)

    def _answer_first(self, segments: list[Segment]) -> None:
        self._answer(segments)
        self._unanswered.pop(0)

    def _end(self, works: Sequence[Work]) -> bool:
        """The engine is free; whether to wait for those about to be answered."""
        self.running = ()
        self.busy_since = None
        return self._gathering.plan(
            sum([w.rows for w in works]), self.lineup.rows, self.options.rows_max,
            self.curve.saving_s,
        )  # fmt: skip

    def _answer(self, segments: list[Segment]) -> None:
        """Answer a batch, and see to the next one where the engine is free."""
        throttled = self._throttling.refresh(perf_counter())
        for part, result in segments:
            if isinstance(result, Exception):
                for work in part:
                    if not work.settled:
                        self._fail(work, result)
                continue
            result.throttled_us = throttled
            if part[0].crowd is not None:
                self._complete_together(part, result)
            first_row = 0
            for work in part:
                if not work.settled:
                    self._complete(work, result, first_row)
                first_row += work.rows
            # Clients wait for their answers, and nobody waits for this.
            if part[0].window is None:
                self.curve.observe(result.rows, result.compute_s)
            self.stats.batch(result.rows, result.compute_s)
        self.stats.trim()
        if self.busy_since is None:
            self._gathering.open(perf_counter())
            if self.lineup.rows and not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._flush)

    def _complete_together(self, works: Sequence[Work], result: BatchResult) -> None:
        crowd = works[0].crowd
        assert crowd is not None, "the caller checked"
        try:
            crowd.complete_all(works, result)
        except Exception as error:  # noqa: BLE001
            # Whoever is not settled yet is completed alone, and fails alone.
            log("crowd_fault", "error", model=self.name, error=f"{type(error).__name__}: {error}")

    def _complete(self, work: Work, result: BatchResult, first_row: int) -> None:
        work.settled = True
        self.stats.queue_seconds.record(result.started - work.arrived)
        try:
            work.complete(result, first_row)
        except Exception as error:  # noqa: BLE001
            # An answer that cannot be encoded is that request's failure, not its batch mates'.
            self._fail(work, error)
            return
        self.stats.ok += 1

    def _fail_late(self, work: Work) -> None:
        waited_ms = (perf_counter() - work.arrived) * 1e3
        self._fail(work, DeadlinePassed(f"not finished in time: waited {waited_ms:.0f} ms"))

    def _fail(self, work: Work, error: Exception) -> None:
        work.settled = True
        fault = failure_of(error)
        fault.release = self.name
        self.stats.failed(fault)
        work.fail(fault)


def _no_visits(*_: object) -> bool:
    return False
