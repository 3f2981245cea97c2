"""No row is lost, doubled, reordered or mixed up, whatever arrives, fails or goes away."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from prometheus_ai_runtime.batching.batcher import Batcher
from prometheus_ai_runtime.batching.engine_call import EngineCall
from prometheus_ai_runtime.batching.stats import ModelStats
from prometheus_ai_runtime.batching.work import BatchResult, Work
from prometheus_ai_runtime.config import Batching
from prometheus_ai_runtime.errors import ModelFailed, Overloaded, RequestError
from prometheus_ai_runtime.signature import Signature, TensorSpec
from prometheus_ai_runtime.sockets.loop import new_loop
from prometheus_ai_runtime.tensors.plan import Plan
from prometheus_ai_runtime.watch.cgroup import Throttling

POISON = -666.0
RAGGED = Signature(
    inputs=(TensorSpec(name="x", datatype="FP64", shape=(-1, -1)),),
    outputs=(TensorSpec(name="y", datatype="FP64", shape=(-1, 2)),),
)


class Doubling:
    """Gives each row's sum and a constant; raises on any batch that holds poison."""

    signature = RAGGED
    batchable = True
    missing_is_nan = False
    warnings: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.largest = 0

    def predict(self, inputs: Any) -> dict[str, Any]:
        batch = inputs["x"]
        self.largest = max(self.largest, len(batch))
        if (batch == POISON).any():
            raise ValueError("poison")
        self.seen += batch[:, 0].tolist()
        return {"y": np.stack([batch.sum(axis=1), batch[:, 0]], axis=1)}

    def close(self) -> None:
        return None


class Preparing(Doubling):
    """Prepares ahead; poison is found there or in the run."""

    def __init__(self, *, finds_poison: bool) -> None:
        super().__init__()
        self.finds_poison = finds_poison

    def prepare(self, inputs: Any) -> Any:
        batch = inputs["x"].copy()
        if self.finds_poison and (batch == POISON).any():
            raise ValueError("poison")
        return {"x": batch}

    def run(self, prepared: Any) -> dict[str, Any]:
        return super().predict(prepared)


MODELS: dict[str, Callable[[], Doubling]] = {
    "plain": Doubling,
    "prepares": lambda: Preparing(finds_poison=False),
    "finds poison ahead": lambda: Preparing(finds_poison=True),
}


class Call(Work):
    """Work that remembers every outcome it was given."""

    __slots__ = ("outcomes", "values")

    def __init__(self, values: np.ndarray, priority: int, tenant: str, plan: Plan) -> None:
        self.values = values
        self.rows = len(values)
        self.parts = [values.tobytes()]
        self.row_shapes = (values.shape[1:],)
        self.shape_key = plan.grouping(self.row_shapes)
        self.priority, self.tenant, self.cost = priority, tenant, values.shape[1]
        self.arrived, self.deadline, self.settled = 0.0, float("inf"), False
        self.throttled_from_us, self.window = 0, None
        self.outcomes: list[Any] = []

    def complete(self, result: BatchResult, first_row: int) -> None:
        self.outcomes.append(result.slice_of(0, first_row, self.rows).copy())

    def fail(self, error: RequestError) -> None:
        self.outcomes.append(error)


@dataclass
class Step:
    rows: int
    width: int
    poison: bool
    priority: int
    tenant: str
    cancel: int | None
    turns: int


steps = st.lists(
    st.builds(
        Step,
        rows=st.integers(1, 9),
        width=st.integers(1, 3),
        poison=st.integers(0, 5).map(lambda n: n == 0),
        priority=st.sampled_from([5, 5, 5, 0, 9]),
        tenant=st.sampled_from(["", "", "a", "b"]),
        cancel=st.none() | st.integers(0, 40),
        turns=st.integers(0, 3),
    ),
    max_size=40,
)
options = st.builds(
    Batching,
    rows_max=st.integers(1, 16),
    wait_ms_max=st.sampled_from([0.0, 0.0, 1.0]),
    queue_rows_max=st.sampled_from([8, 64, 1024]),
    preferred_rows=st.sampled_from([(), (4, 8)]),
    latency_ms_max=st.sampled_from([None, 0.05, 50.0]),
    cost_max=st.sampled_from([None, 12]),
    pad=st.sampled_from([{}, {"x": 0.0}]),
    tenant_rows_max=st.sampled_from([None, 16]),
)


@given(
    steps=steps,
    batching=options,
    inline=st.booleans(),
    kind=st.sampled_from(list(MODELS)),
    new=st.sampled_from([new_loop, asyncio.new_event_loop]),
)
@settings(max_examples=200, deadline=None)
def test_every_row_is_answered_once_and_with_its_own_result(
    steps: list[Step],
    batching: Batching,
    inline: bool,
    kind: str,
    new: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=new) as runner:
        runner.run(play(steps, batching, inline, MODELS[kind]()))


async def play(steps: list[Step], batching: Batching, inline: bool, model: Doubling) -> None:
    plan = Plan(RAGGED, True, batching.pad)
    stats = ModelStats()
    batcher = Batcher("test", batching, stats, Throttling())
    batcher.open(EngineCall(model, plan, batching.rows_max), 1e9 if inline else 0.0)
    batcher.curve.observe(1, 1e-6)
    calls, rejected, cancelled = [], 0, 0
    number = iter(range(1, 10**6))
    for step in steps:
        values = np.array([[float(next(number))] * step.width for _ in range(step.rows)])
        if step.poison:
            values[-1, 0] = POISON
        call = Call(values, step.priority, step.tenant, plan)
        try:
            batcher.submit(call)
        except Overloaded as error:
            rejected += bool(error.retry_after_s)
        else:
            calls.append(call)
        for _ in range(step.turns):
            await asyncio.sleep(0)
        if step.cancel is not None and step.cancel < len(calls):
            target = calls[step.cancel]
            if not target.settled:
                batcher.cancel(target)
                cancelled += 1
    await settled(batcher)
    batcher.close("the test ends")
    for call in calls:
        check(call)
    gone = [c for c in calls if not c.outcomes]
    assert len(gone) == cancelled
    assert all(c.settled for c in calls)
    failed = sum(isinstance(c.outcomes[0], RequestError) for c in calls if c.outcomes)
    assert stats.counts() == {
        "ok": len(calls) - failed - cancelled,
        "client_error": 0,
        "server_error": failed,
        "rejected": rejected,
        "cancelled": cancelled,
    }
    assert batcher.lineup.rows == 0
    assert model.largest <= batching.rows_max
    assert_once_and_in_order(model, calls)


def check(call: Call) -> None:
    assert len(call.outcomes) <= 1
    for outcome in call.outcomes:
        if (call.values == POISON).any():
            assert isinstance(outcome, ModelFailed)
        else:
            expected = np.stack([call.values.sum(axis=1), call.values[:, 0]], axis=1)
            np.testing.assert_array_equal(outcome, expected)


def assert_once_and_in_order(model: Doubling, calls: list[Call]) -> None:
    """Rows of one lane reach the engine in the order of arrival; no good row reaches it twice."""
    good = [c for c in calls if c.outcomes and not isinstance(c.outcomes[0], RequestError)]
    times = Counter(model.seen)
    assert all(times[value] == 1 for c in good for value in c.values[:, 0].tolist())
    place = {value: i for i, value in enumerate(model.seen)}
    for lane in lanes(good):
        order = [place[v] for c in lane for v in c.values[:, 0].tolist()]
        assert order == sorted(order)


def lanes(calls: list[Call]) -> Iterator[list[Call]]:
    keys = {(c.priority, c.tenant, c.shape_key) for c in calls}
    for key in keys:
        yield [c for c in calls if (c.priority, c.tenant, c.shape_key) == key]


async def settled(batcher: Batcher) -> None:
    async with asyncio.timeout(30):
        while batcher.active():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
