"""Declared signatures against found ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai_runtime.engines.agreement import (
    NUMPY_TYPES,
    agree,
    as_bytes,
    as_text,
    datatype_of,
    rows_are_free,
)
from prometheus_ai_runtime.engines.base import EngineError, LoadRequest
from prometheus_ai_runtime.signature import DATATYPES, Signature, TensorSpec
from prometheus_ai_runtime.tensors.plan import NUMPY_DTYPES

DIMS = st.integers(-1, 4)
SHAPES = st.lists(DIMS, max_size=3).map(tuple)


def _signature(*inputs: TensorSpec) -> Signature:
    return Signature(inputs=inputs, outputs=(_tensor("y"),))


def _tensor(name: str = "x", datatype: str = "FP32", shape: Any = (-1,)) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=tuple(shape))


def _agreed(found: Signature, declared: Signature | None) -> Signature:
    return agree(found, LoadRequest(path=Path("model.onnx"), signature=declared))


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype_has_a_numpy_type_and_back(datatype: str) -> None:
    expected = "FP32" if datatype == "BF16" else datatype
    assert datatype_of(NUMPY_TYPES[datatype]) == expected


@pytest.mark.parametrize("datatype", DATATYPES)
def test_engines_and_protocols_mean_the_same_type(datatype: str) -> None:
    assert NUMPY_TYPES[datatype] == NUMPY_DTYPES[datatype]


@pytest.mark.parametrize("dtype", ["complex64", "datetime64[s]", "void"])
def test_types_without_a_datatype_are_refused(dtype: str) -> None:
    with pytest.raises(EngineError, match="no Open Inference Protocol datatype"):
        datatype_of(np.dtype(dtype))


@given(SHAPES)
def test_a_signature_agrees_with_itself(shape: tuple[int, ...]) -> None:
    found = _signature(_tensor(shape=shape))
    assert _agreed(found, found) == found
    assert _agreed(found, None) == found


@given(SHAPES, SHAPES)
def test_a_declared_shape_may_only_narrow(mine: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    declared, found = _signature(_tensor(shape=mine)), _signature(_tensor(shape=theirs))
    narrows = len(mine) == len(theirs) and all(
        b in (-1, a) for a, b in zip(mine, theirs, strict=True)
    )
    if narrows:
        assert _agreed(found, declared) == declared
    else:
        with pytest.raises(EngineError, match="declared shape"):
            _agreed(found, declared)


def test_an_input_that_was_not_declared_is_named() -> None:
    with pytest.raises(EngineError, match="input `b`: the model needs it"):
        _agreed(_signature(_tensor("a"), _tensor("b")), _signature(_tensor("a")))


def test_columns_must_be_the_models_own() -> None:
    found = Signature(inputs=(_tensor(),), outputs=(_tensor("y"),), columns=("age", "height"))
    declared = Signature(inputs=(_tensor(),), outputs=(_tensor("y"),), columns=("height", "age"))
    with pytest.raises(EngineError, match="columns: declared"):
        _agreed(found, declared)


@pytest.mark.parametrize(("shape", "free"), [((-1, 4), True), ((4,), False), ((), False)])
def test_rows_are_free_when_every_first_dimension_is(shape: Any, free: bool) -> None:
    assert rows_are_free(_signature(_tensor(shape=shape))) is free


@given(st.lists(st.text(max_size=8), min_size=4, max_size=4))
def test_text_becomes_bytes_and_text_again(values: list[str]) -> None:
    array = np.array(values, dtype=object).reshape(2, 2)
    encoded = as_bytes(array)
    assert encoded.shape == (2, 2)
    assert all(isinstance(value, bytes) for value in encoded.ravel())
    assert as_text(encoded).tolist() == array.tolist()
