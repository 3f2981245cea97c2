"""Tensors on the wire: what goes in comes out, for every datatype and form."""

import json
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst

from prometheus_ai_runtime.batching.engine_call import EngineCall
from prometheus_ai_runtime.batching.work import BatchResult, Work
from prometheus_ai_runtime.errors import InvalidRequest
from prometheus_ai_runtime.signature import DATATYPES, Signature, TensorSpec
from prometheus_ai_runtime.tensors.binary import check_finite, join_strings, split_strings
from prometheus_ai_runtime.tensors.decode import decode, to_bfloat16
from prometheus_ai_runtime.tensors.encode import raw_bytes, rows_as_json
from prometheus_ai_runtime.tensors.plan import NUMPY_DTYPES, Plan

NUMERIC = [d for d in DATATYPES if d not in ("BYTES", "BF16")]


class Echo:
    batchable = True
    warnings: tuple[str, ...] = ()

    def __init__(self, datatype: str, shape: tuple[int, ...], batchable: bool = True) -> None:
        self.batchable = batchable
        self.signature = Signature(
            inputs=(TensorSpec(name="x", datatype=datatype, shape=shape),),
            outputs=(TensorSpec(name="y", datatype=datatype, shape=shape),),
        )

    def predict(self, inputs: Any) -> dict[str, Any]:
        return {"y": inputs["x"]}

    def close(self) -> None:
        return None


class Row(Work):
    __slots__ = ()


def echo(model: Echo, *bodies: bytes, json_bytes: int | None = None) -> BatchResult:
    """All bodies through one engine call."""
    plan = Plan(model.signature, model.batchable)
    works = []
    for body in bodies:
        decoded = decode(plan, body, json_bytes, finite_only=True)
        work = Row()
        work.rows, work.parts, work.settled = decoded.rows, decoded.parts, False
        work.row_shapes = decoded.row_shapes
        works.append(work)
    ((_, result),) = EngineCall(model, plan, 10_000).run(works)
    assert isinstance(result, BatchResult), result
    return result


def body(datatype: str, array: Any, data: Any) -> bytes:
    tensor = {"name": "x", "datatype": datatype, "shape": list(array.shape), "data": data}
    return json.dumps({"inputs": [tensor]}).encode()


@pytest.mark.parametrize("datatype", NUMERIC)
@given(data=st.data())
def test_json_values_come_back_exactly(datatype: str, data: st.DataObject) -> None:
    dtype = NUMPY_DTYPES[datatype]
    elements = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    shapes = st.tuples(st.integers(1, 5), st.integers(1, 200), st.integers(1, 2))
    array = data.draw(npst.arrays(dtype, shapes, elements=npst.from_dtype(dtype, **elements)))
    nested = data.draw(st.booleans())
    values = array.tolist() if nested else array.reshape(-1).tolist()
    result = echo(
        Echo(datatype, (-1, -1, -1)), body(datatype, array, values), body(datatype, array, values)
    )
    np.testing.assert_array_equal(result.outputs[0], np.concatenate([array, array]))
    rows = [
        json.loads(b"[" + row + b"]") for row in rows_as_json(result.outputs[0], len(array) * 2)
    ]
    written = np.array(rows[: len(array)], dtype=dtype).reshape(array.shape)
    np.testing.assert_array_equal(written, array)


@given(values=st.lists(st.text(max_size=20), min_size=1, max_size=20))
def test_text_comes_back_as_it_went(values: list[str]) -> None:
    array = np.array(values, dtype=object).reshape(-1, 1)
    result = echo(Echo("BYTES", (-1, 1)), body("BYTES", array, values))
    rows = rows_as_json(result.outputs[0], len(values))
    assert [json.loads(b"[" + row + b"]") for row in rows] == [[v] for v in values]


@given(values=st.lists(st.binary(max_size=20), max_size=20))
def test_strings_are_split_where_they_were_joined(values: list[bytes]) -> None:
    raw = memoryview(join_strings(values))
    assert split_strings("x", raw, len(values)) == values
    with pytest.raises(InvalidRequest):
        split_strings("x", raw, len(values) + 1)
    if raw:
        with pytest.raises(InvalidRequest):
            split_strings("x", raw[:-1], len(values))


@pytest.mark.parametrize("datatype", NUMERIC)
def test_binary_values_come_back_exactly(datatype: str) -> None:
    array = np.array([[0, 1], [1, 0]], NUMPY_DTYPES[datatype])
    tensor = {"name": "x", "datatype": datatype, "shape": [2, 2]}
    head = json.dumps(
        {"inputs": [{**tensor, "parameters": {"binary_data_size": array.nbytes}}]}
    ).encode()
    result = echo(Echo(datatype, (-1, 2)), head + array.tobytes(), json_bytes=len(head))
    spec = TensorSpec(name="y", datatype=datatype, shape=(-1, 2))
    assert raw_bytes(spec, result.outputs[0]) == array.tobytes()


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_bfloat16_is_the_nearest_of_its_neighbours(value: float) -> None:
    (bits,) = np.frombuffer(to_bfloat16(np.array([value], np.float32)), "<u2").tolist()

    def widened(half: int) -> float:
        return float(np.array([half << 16], "<u4").view("<f4")[0])

    near = widened(bits)
    if np.isfinite(near):
        for neighbour in (bits - 1, bits + 1):
            if 0 <= neighbour < 2**16 and np.isfinite(widened(neighbour)):
                assert abs(near - value) <= abs(widened(neighbour) - value)


def test_bfloat16_widens_for_the_engine_and_narrows_for_the_wire() -> None:
    array = np.array([[1.5, -2.0]])
    result = echo(Echo("BF16", (-1, 2)), body("BF16", array, [1.5, -2.0]))
    assert result.outputs[0].dtype == np.float32
    spec = TensorSpec(name="y", datatype="BF16", shape=(-1, 2))
    assert raw_bytes(spec, result.outputs[0]) == b"\xc0\x3f\x00\xc0"


def test_a_model_without_free_rows_runs_each_request_alone() -> None:
    model = Echo("FP32", (1, 4), batchable=False)
    result = echo(model, body("FP32", np.zeros((1, 4)), [1, 2, 3, 4]))
    assert not result.batched
    assert result.json_rows(0) == [b"1.0,2.0,3.0,4.0"]
    with pytest.raises(InvalidRequest, match="expected shape"):
        echo(model, body("FP32", np.zeros((2, 4)), [0] * 8))


def test_an_output_of_another_width_is_made_what_was_declared() -> None:
    class Wide(Echo):
        def predict(self, inputs: Any) -> dict[str, Any]:
            return {"y": inputs["x"].astype(np.float64)[:, ::-1]}

    result = echo(Wide("FP32", (-1, 2)), body("FP32", np.zeros((1, 2)), [1, 2]))
    assert result.outputs[0].dtype == np.float32
    assert result.outputs[0].tolist() == [[2.0, 1.0]]
    assert result.outputs[0].flags.c_contiguous


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "FP16", "BF16"])
@pytest.mark.parametrize("rows", [3, 40, 3000])
@pytest.mark.parametrize(
    ("values", "is_finite"),
    [
        ([], True),
        ([np.inf], False),
        ([-np.inf], False),
        ([np.nan], False),
        ([np.inf, -np.inf], False),
    ],
)
def test_numbers_that_are_none_are_refused_in_every_size(
    datatype: str, rows: int, values: list[float], is_finite: bool
) -> None:
    dtype = "<f4" if datatype == "BF16" else NUMPY_DTYPES[datatype]
    # The largest values there are must not be taken for infinite because their sum is.
    array = np.full((rows, 2), 3e38 if datatype == "BF16" else np.finfo(dtype).max, dtype)
    array[rows - len(values) :, 1] = values
    raw = to_bfloat16(array) if datatype == "BF16" else array.tobytes()
    plan = Plan(Echo(datatype, (-1, 2)).signature, batched=True).inputs[0]
    extent = plan.extent([rows, 2])
    if is_finite:
        check_finite(plan.spec, memoryview(raw), extent)
        return
    with pytest.raises(InvalidRequest, match=f"row {rows - len(values)} has NaN or infinity"):
        check_finite(plan.spec, memoryview(raw), extent)
