"""Batches prepared while another runs, and answers written while the loop sleeps."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from prometheus_ai_runtime.batching.batcher import Batcher
from prometheus_ai_runtime.batching.engine_call import EngineCall
from prometheus_ai_runtime.batching.lineup import Bounds, Lineup
from prometheus_ai_runtime.batching.stats import ModelStats
from prometheus_ai_runtime.batching.work import BatchResult, Work
from prometheus_ai_runtime.config import Batching
from prometheus_ai_runtime.signature import Signature, TensorSpec
from prometheus_ai_runtime.sockets.loop import DirectLoop
from prometheus_ai_runtime.tensors.plan import Plan
from prometheus_ai_runtime.watch.cgroup import Throttling

BOUND_S = 10
SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype="FP64", shape=(-1, 1)),),
    outputs=(TensorSpec(name="y", datatype="FP64", shape=(-1, 1)),),
)


class Held:
    """A model whose runs wait to be let go, and which says on which thread it prepares what."""

    signature = SIGNATURE
    batchable = True
    missing_is_nan = False
    warnings: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.prepared: list[tuple[str, list[float]]] = []
        self.ran: list[list[float]] = []
        self.go = threading.Semaphore(0)

    def prepare(self, inputs: Any) -> Any:
        values = inputs["x"][:, 0].tolist()
        self.prepared.append((threading.current_thread().name, values))
        return values

    def run(self, prepared: Any) -> Any:
        assert self.go.acquire(timeout=BOUND_S)
        self.ran.append(prepared)
        return {"y": np.array(prepared)[:, None] * 2}

    def predict(self, inputs: Any) -> Any:
        return self.run(self.prepare(inputs))

    def close(self) -> None:
        return None


class Call(Work):
    """One row."""

    __slots__ = ("outcome", "thread")

    def __init__(self, value: float) -> None:
        self.parts = [np.array([[value]], dtype=float).tobytes()]
        self.rows, self.row_shapes = 1, ((1,),)
        self.shape_key = self.row_shapes
        self.priority, self.tenant, self.cost = 5, "", 1
        self.arrived, self.deadline, self.settled = 0.0, float("inf"), False
        self.throttled_from_us, self.window = 0, None
        self.outcome: Any = None
        self.thread = ""

    def complete(self, result: BatchResult, first_row: int) -> None:
        self.thread = threading.current_thread().name
        self.outcome = result.slice_of(0, first_row, 1)[0, 0]

    def fail(self, error: Exception) -> None:
        self.outcome = error


def play(scene: Callable[[Batcher, Held], Any], options: Batching) -> None:
    async def run() -> None:
        model = Held()
        batcher = Batcher("test", options, ModelStats(), Throttling())
        batcher.open(EngineCall(model, Plan(SIGNATURE, True), options.rows_max), 0.0)
        async with asyncio.timeout(BOUND_S):
            await scene(batcher, model)
            while batcher.active():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        batcher.close("the test ends")

    with asyncio.Runner(loop_factory=DirectLoop) as runner:
        runner.run(run())


async def until(is_so: Callable[[], Any]) -> None:
    while not is_so():  # noqa: ASYNC110 - the engine's thread has no event of the loop
        await asyncio.sleep(0.001)


async def prepare_ahead(batcher: Batcher, model: Held, calls: list[Call]) -> None:
    """Have the first call run alone, and the others prepared as one batch meanwhile."""
    batcher.submit(calls[0])
    await until(lambda: model.prepared)
    for call in calls[1:]:
        batcher.submit(call)
    await until(lambda: len(model.prepared) == 2)


def test_a_full_batch_is_prepared_while_another_runs() -> None:
    calls = [Call(n) for n in range(5)]

    async def scene(batcher: Batcher, model: Held) -> None:
        await prepare_ahead(batcher, model, calls)
        assert model.ran == []
        for _ in calls:
            model.go.release()
        await until(lambda: calls[-1].settled)
        assert model.prepared[1] == ("prepare-test", [1.0, 2.0, 3.0])
        assert [values for _, values in model.prepared] == model.ran

    play(scene, Batching(rows_max=3))
    assert [c.outcome for c in calls] == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_a_guess_that_proves_wrong_is_dropped() -> None:
    calls = [Call(n) for n in range(4)]

    async def scene(batcher: Batcher, model: Held) -> None:
        await prepare_ahead(batcher, model, calls)
        batcher.cancel(calls[2])
        for _ in calls:
            model.go.release()
        await until(lambda: calls[3].settled)
        assert model.ran == [[0.0], [1.0, 3.0]]

    play(scene, Batching(rows_max=3))
    assert [c.outcome for c in calls] == [0.0, 2.0, None, 6.0]


def test_a_lone_answer_is_written_by_the_engine_while_the_loop_sleeps() -> None:
    call = Call(1.0)

    async def scene(batcher: Batcher, model: Held) -> None:
        loop = asyncio.get_running_loop()
        batcher.submit(call)
        await until(lambda: model.prepared)
        loop.call_later(0.05, lambda: None)
        threading.Timer(0.01, model.go.release).start()
        await asyncio.sleep(0.05)
        await until(lambda: call.settled)

    play(scene, Batching())
    assert call.outcome == 2.0
    assert call.thread in ("engine-test", "MainThread")


def test_what_comes_next_is_foreseen_and_left_in_the_queue() -> None:
    lineup = Lineup()
    calls = [Call(n) for n in range(5)]
    for call in calls:
        lineup.push(call)
    calls[1].settled = True
    lineup.discard(calls[1])
    calls[2].deadline = 5.0
    bounds = Bounds(2)
    foreseen = lineup.foresee(6.0, bounds)
    assert foreseen == [calls[0], calls[3]]
    assert lineup.rows == 4
    assert lineup.take(6.0, bounds) == (foreseen, [calls[2]])


def test_a_visitor_runs_only_while_the_loop_sleeps() -> None:
    seen: list[str] = []
    loop = DirectLoop()

    def visitor(inside: threading.Event, left: threading.Event) -> None:
        assert inside.wait(BOUND_S)
        seen.append(f"busy {loop.visit(seen.append, 'never')}")
        left.set()
        while not loop.visit(loop.call_soon, seen.append, "called"):
            pass

    async def run() -> None:
        inside, left = threading.Event(), threading.Event()
        thread = threading.Thread(target=visitor, args=(inside, left))
        thread.start()
        inside.set()
        # A callback of the loop that takes its time.
        assert left.wait(BOUND_S)
        async with asyncio.timeout(BOUND_S):
            await until(lambda: "called" in seen)
        thread.join(BOUND_S)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())
    assert seen == ["busy False", "called"]


def test_a_fault_of_a_visitor_is_the_loops_to_report() -> None:
    told: list[str] = []
    loop = DirectLoop()

    def fault() -> None:
        raise ValueError("lost")

    async def run() -> None:
        loop.set_exception_handler(lambda _loop, about: told.append(str(about["exception"])))

        def visit() -> None:
            while not loop.visit(fault):
                pass

        thread = threading.Thread(target=visit)
        thread.start()
        async with asyncio.timeout(BOUND_S):
            await until(lambda: told)
        thread.join(BOUND_S)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())
    assert told == ["lost"]
