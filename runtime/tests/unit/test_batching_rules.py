"""One rule of batching a test: the bounds, the order, the deadline, the learned curve."""

import asyncio
import math
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from prometheus_ai_runtime.batching.batcher import Batcher
from prometheus_ai_runtime.batching.costs import COSTS
from prometheus_ai_runtime.batching.curve import LatencyCurve
from prometheus_ai_runtime.batching.engine_call import EngineCall
from prometheus_ai_runtime.batching.lineup import Bounds, Lineup
from prometheus_ai_runtime.batching.stats import ModelStats
from prometheus_ai_runtime.batching.work import BatchResult, Work
from prometheus_ai_runtime.config import COST_NAMES, Batching
from prometheus_ai_runtime.errors import DeadlinePassed, Overloaded, RequestError
from prometheus_ai_runtime.signature import Signature, TensorSpec
from prometheus_ai_runtime.tensors.plan import PaddingImpossible, Plan
from prometheus_ai_runtime.watch.cgroup import Throttling

SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, -1)),),
    outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1,)),),
)


class Call(Work):
    __slots__ = ("label", "outcome")

    def __init__(self, label: str = "", rows: int = 1, width: int = 1, **more: Any) -> None:
        self.label, self.rows = label, rows
        self.parts = [np.full((rows, width), 1, "<f4").tobytes()]
        self.row_shapes = self.shape_key = ((width,),)
        self.arrived = more.get("arrived", 0.0)
        self.deadline = more.get("deadline", math.inf)
        self.priority, self.tenant = more.get("priority", 5), more.get("tenant", "")
        self.cost, self.settled, self.window = more.get("cost", 1), False, None
        self.throttled_from_us = 0
        self.outcome: Any = None

    def complete(self, result: BatchResult, first_row: int) -> None:
        self.outcome = result

    def fail(self, error: RequestError) -> None:
        self.outcome = error


class Summing:
    """Remembers the size of each batch."""

    signature = SIGNATURE
    batchable = True
    warnings: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, inputs: Any) -> dict[str, Any]:
        self.batches.append(len(inputs["x"]))
        return {"y": inputs["x"].sum(axis=1)}

    def close(self) -> None:
        return None


def lined_up(*calls: Call) -> Lineup:
    lineup = Lineup()
    for call in calls:
        lineup.push(call)
    return lineup


def labels(works: Sequence[Work]) -> str:
    return "".join(w.label for w in works if isinstance(w, Call))


def taken(lineup: Lineup, rows: int = 100, now: float = 0.0, cost: int | None = None) -> str:
    return labels(lineup.take(now, Bounds(rows, cost))[0])


def test_work_is_taken_in_order_of_arrival_up_to_the_bound() -> None:
    lineup = lined_up(*(Call(c, rows=2) for c in "abcde"))
    assert [taken(lineup, rows=4) for _ in range(3)] == ["ab", "cd", "e"]
    assert lineup.rows == 0


def test_the_first_always_fits() -> None:
    assert taken(lined_up(Call("a", rows=50), Call("b")), rows=8) == "a"


def test_priority_comes_before_arrival() -> None:
    lineup = lined_up(Call("c"), Call("d", priority=9), Call("a", priority=0))
    assert taken(lineup, rows=1) == "a"
    assert taken(lineup) == "cd"


def test_only_equal_shapes_share_a_batch() -> None:
    lineup = lined_up(Call("a", arrived=1.0), Call("b", width=2, arrived=2.0), Call("c"))
    assert [taken(lineup), taken(lineup)] == ["ac", "b"]


def test_tenants_share_evenly_however_much_one_sends() -> None:
    lineup = lined_up(*(Call("a", tenant="a") for _ in range(20)), *(Call("b", tenant="b"),) * 1)
    for _ in range(3):
        lineup.push(Call("b", tenant="b"))
    assert sorted(taken(lineup, rows=8)) == sorted("aaaabbbb")


def test_a_tenant_that_was_away_has_no_credit() -> None:
    lineup = lined_up(*(Call("a", tenant="a") for _ in range(10)), Call("n"))
    assert sorted(taken(lineup, rows=6)) == sorted("aaaaan")
    for _ in range(10):
        lineup.push(Call("b", tenant="b"))
    assert sorted(taken(lineup, rows=6)) == sorted("aaabbb")


def test_work_past_its_deadline_is_never_started() -> None:
    lineup = lined_up(Call("a", deadline=1.0), Call("b", deadline=3.0), Call("c", deadline=1.0))
    batch, late = lineup.take(2.0, Bounds(100))
    assert (labels(batch), labels(late)) == ("b", "ac")
    assert lineup.rows == 0


def test_the_padded_cost_bounds_a_batch() -> None:
    lineup = lined_up(Call("a", cost=2), Call("b", cost=2), Call("c", cost=10), Call("d", cost=1))
    assert [taken(lineup, cost=12) for _ in range(2)] == ["ab", "c"]


def test_given_up_work_does_not_pile_up() -> None:
    lineup = Lineup()
    for _ in range(5000):
        call = Call()
        lineup.push(call)
        call.settled = True
        lineup.discard(call)
    assert lineup.rows == 0
    assert sum(len(lane) for lane in lineup._lanes.values()) < 600


@given(fixed=st.floats(1e-6, 1e-2), slope=st.floats(1e-6, 1e-2))
def test_the_curve_learns_a_line(fixed: float, slope: float) -> None:
    curve = LatencyCurve()
    for rows in [1, 2, 4, 8, 16, 32] * 5:
        curve.observe(rows, fixed + slope * rows)
    assert math.isclose(curve.predict(24), fixed + slope * 24, rel_tol=1e-3)
    bound = fixed + slope * 10.5
    assert curve.rows_within(bound, 32) == 10


def test_one_known_size_is_read_with_caution() -> None:
    curve = LatencyCurve()
    assert curve.predict(1) == 0.0
    curve.observe(1, 0.01)
    assert curve.predict(8) == pytest.approx(0.08)


@pytest.mark.parametrize("name", COST_NAMES)
def test_every_cost_has_its_function(name: str) -> None:
    assert name in COSTS


def test_costs_count_what_they_say() -> None:
    call = Call(rows=3, width=7)
    call.parts = [[b"one two three", b"four", b""]]
    assert [COSTS[n](call) for n in ("elements", "bytes", "words")] == [7, 13, 3]  # type: ignore[misc]


def played(
    options: Batching,
    *calls: Call,
    curve: dict[int, float] | None = None,
    waited_s: float = 0.0,
) -> list[int]:
    """The sizes of the batches when all calls arrive at once."""

    async def run() -> list[int]:
        model = Summing()
        plan = Plan(SIGNATURE, True, options.pad)
        batcher = Batcher("test", options, ModelStats(), Throttling())
        batcher.open(EngineCall(model, plan, options.rows_max), 1e9)
        for rows, seconds in (curve or {1: 1e-6}).items():
            for _ in range(20):
                batcher.curve.observe(rows, seconds)
        for call in calls:
            call.shape_key = plan.grouping(call.row_shapes)
            call.arrived = asyncio.get_running_loop().time() - waited_s
            batcher.submit(call)
        async with asyncio.timeout(30):
            while batcher.active():  # noqa: ASYNC110
                await asyncio.sleep(0)
        return model.batches

    return asyncio.run(run())


def test_what_arrives_together_runs_together() -> None:
    assert played(Batching(), *(Call() for _ in range(20))) == [20]


def test_preferred_sizes_are_kept_to() -> None:
    assert played(Batching(preferred_rows=(4, 8)), *(Call() for _ in range(15))) == [8, 4, 3]


def test_a_batch_never_grows_past_the_latency_bound() -> None:
    curve = {n: 0.1 * n for n in (1, 2, 4, 8, 16)}
    batches = played(Batching(latency_ms_max=450.0), *(Call() for _ in range(10)), curve=curve)
    assert max(batches) == 4


def test_ragged_rows_are_padded_into_one_batch() -> None:
    ragged = [Call(width=n) for n in (1, 3, 2)]
    assert played(Batching(pad={"x": 0.0}), *ragged) == [3]
    assert [c.outcome.outputs[0].tolist() for c in ragged] == [[1.0, 3.0, 2.0]] * 3
    assert sorted(played(Batching(), *(Call(width=n) for n in (1, 3, 2)))) == [1, 1, 1]


def test_padding_that_would_reach_the_answer_is_refused() -> None:
    free = Signature(inputs=SIGNATURE.inputs, outputs=SIGNATURE.inputs)
    with pytest.raises(PaddingImpossible, match="would reach output"):
        Plan(free, True, {"x": 0.0})
    with pytest.raises(PaddingImpossible, match="names `z`"):
        Plan(SIGNATURE, True, {"z": 0.0})


@pytest.mark.parametrize(("datatype", "fill"), [("INT64", 0.5), ("UINT8", -1.0), ("BOOL", 2.0)])
def test_padding_that_the_datatype_cannot_hold_is_refused(datatype: str, fill: float) -> None:
    inputs = (TensorSpec(name="x", datatype=datatype, shape=(-1, -1)),)
    with pytest.raises(PaddingImpossible, match=f"`x` is {datatype}, which has no {fill:g}"):
        Plan(Signature(inputs=inputs, outputs=SIGNATURE.outputs), True, {"x": fill})


def test_a_request_larger_than_a_batch_is_answered_whole() -> None:
    call = Call(rows=70)
    assert played(Batching(rows_max=32), call) == [32, 32, 6]
    assert call.outcome.outputs[0].shape == (70,)


def test_a_full_queue_says_when_to_come_back() -> None:
    async def run() -> Overloaded:
        batcher = Batcher("test", Batching(queue_rows_max=4), ModelStats(), Throttling())
        batcher.open(EngineCall(Summing(), Plan(SIGNATURE, True), 32), 0.0)
        batcher.stats.batch(rows=2, compute_s=2.0)
        for _ in range(4):
            batcher.submit(Call())
        with pytest.raises(Overloaded) as caught:
            batcher.submit(Call())
        batcher.close("the test ends")
        return caught.value

    error = asyncio.run(run())
    # Four rows queued at one row a second.
    assert error.retry_after_s == 4


def test_a_tenant_cannot_fill_the_queue_alone() -> None:
    async def run() -> None:
        options = Batching(queue_rows_max=100, tenant_rows_max=2)
        batcher = Batcher("test", options, ModelStats(), Throttling())
        batcher.open(EngineCall(Summing(), Plan(SIGNATURE, True), 32), 0.0)
        for _ in range(2):
            batcher.submit(Call(tenant="a"))
        with pytest.raises(Overloaded, match="tenant `a`"):
            batcher.submit(Call(tenant="a"))
        batcher.submit(Call(tenant="b"))
        batcher.close("the test ends")

    asyncio.run(run())


def test_waiting_work_past_its_deadline_is_told_by_the_tick() -> None:
    async def run() -> Call:
        batcher = Batcher("test", Batching(wait_ms_max=60_000), ModelStats(), Throttling())
        batcher.open(EngineCall(Summing(), Plan(SIGNATURE, True), 32), 0.0)
        call = Call(deadline=5.0, arrived=1e9)
        batcher.submit(call)
        batcher.expire(6.0)
        assert batcher.active() == 0
        batcher.close("the test ends")
        return call

    assert isinstance(asyncio.run(run()).outcome, DeadlinePassed)


AN_HOUR_MS = 3.6e6


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        (Batching(wait_ms_max=AN_HOUR_MS, rows_max=4), 4),
        (Batching(wait_ms_max=AN_HOUR_MS, preferred_rows=(3, 6)), 3),
        (Batching(wait_ms_max=AN_HOUR_MS, cost="elements", cost_max=5), 5),
    ],
)
def test_a_full_batch_waits_for_no_timer(options: Batching, rows: int) -> None:
    """The rows come one after the other, while the engine already waits."""

    async def run() -> list[int]:
        model = Summing()
        batcher = Batcher("test", options, ModelStats(), Throttling())
        batcher.open(EngineCall(model, Plan(SIGNATURE, True), options.rows_max), 1e9)
        batcher.curve.observe(1, 1e-6)
        async with asyncio.timeout(30):
            for _ in range(rows):
                batcher.submit(Call(arrived=perf_counter()))
                await asyncio.sleep(0.002)
            while batcher.active():  # noqa: ASYNC110
                await asyncio.sleep(0)
        batcher.close("the test ends")
        return model.batches

    assert asyncio.run(run()) == [rows]


def test_nobody_waits_for_more_rows_past_the_latency_bound() -> None:
    async def run() -> BatchResult:
        options = Batching(wait_ms_max=AN_HOUR_MS, latency_ms_max=60.0)
        batcher = Batcher("test", options, ModelStats(), Throttling())
        batcher.open(EngineCall(Summing(), Plan(SIGNATURE, True), 32), 1e9)
        batcher.curve.observe(1, 0.001)
        call = Call(arrived=perf_counter())
        batcher.submit(call)
        async with asyncio.timeout(30):
            while batcher.active():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        batcher.close("the test ends")
        return call.outcome

    assert asyncio.run(run()).rows == 1


def test_where_the_bound_is_lost_anyway_batches_still_grow_within_it() -> None:
    """One row at a time, a queue that is late once would be late for ever."""
    curve = {n: 0.1 + 0.01 * n for n in (1, 2, 4, 8, 16, 32)}
    late = [Call() for _ in range(40)]
    batches = played(Batching(latency_ms_max=262.0), *late, curve=curve, waited_s=10.0)
    assert batches == [16, 16, 8]
