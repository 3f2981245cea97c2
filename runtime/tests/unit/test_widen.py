"""Values of a narrower datatype are taken where each keeps its value, in every form of a request."""

import json
from typing import Any

import numpy as np
import pytest

from prometheus_ai_runtime.errors import InvalidRequest
from prometheus_ai_runtime.grpc.request import layout_of, read_envelope, read_raw, split
from prometheus_ai_runtime.grpc.wire import sized
from prometheus_ai_runtime.signature import Signature, TensorSpec
from prometheus_ai_runtime.tensors.decode import decode
from prometheus_ai_runtime.tensors.plan import NUMPY_DTYPES, Plan


def plan_for(datatype: str) -> Plan:
    tensor = TensorSpec(name="x", datatype=datatype, shape=(-1, 2))
    return Plan(Signature(inputs=(tensor,), outputs=(tensor,)), batched=True)


def as_json(declared: str, sent: str, values: list[Any]) -> Any:
    tensor = {"name": "x", "datatype": sent, "shape": [1, 2], "data": values}
    body = json.dumps({"inputs": [tensor]}).encode()
    return decode(plan_for(declared), body, None, finite_only=True).parts[0]


def as_binary(declared: str, sent: str, values: list[Any]) -> Any:
    raw = np.array(values, NUMPY_DTYPES[sent]).tobytes()
    parameters = {"binary_data_size": len(raw)}
    tensor = {"name": "x", "datatype": sent, "shape": [1, 2], "parameters": parameters}
    head = json.dumps({"inputs": [tensor]}).encode()
    return decode(plan_for(declared), head + raw, len(head), finite_only=True).parts[0]


def as_grpc(declared: str, sent: str, values: list[Any]) -> Any:
    raw = np.array(values, NUMPY_DTYPES[sent]).tobytes()
    tensor = sized(1, b"x") + sized(2, sent.encode()) + sized(3, bytes([1, 2]))
    message = sized(1, b"m") + sized(5, tensor) + sized(7, raw)
    layout = layout_of(read_envelope(message), plan_for(declared))
    return read_raw(message, split(message).raw_at, layout, finite_only=True)[0]


FORMS = [as_json, as_binary, as_grpc]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("declared", "sent", "values"),
    [
        ("FP64", "FP32", [0.5, -3.25]),
        ("FP32", "FP16", [0.5, 2.0]),
        ("FP64", "INT32", [7, -2147483648]),
        ("INT64", "INT32", [1, -2]),
        ("INT32", "INT64", [2147483647, -5]),
        ("UINT8", "INT64", [0, 255]),
    ],
)
def test_what_keeps_its_value_is_taken(
    form: Any, declared: str, sent: str, values: list[Any]
) -> None:
    part = form(declared, sent, values)
    assert np.frombuffer(part, NUMPY_DTYPES[declared]).tolist() == values


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("declared", "sent", "values"),
    [
        ("FP32", "FP64", [0.5, 1.0]),
        ("FP32", "INT64", [1, 2]),
        ("INT64", "FP32", [1.0, 2.0]),
        ("BOOL", "UINT8", [1, 0]),
    ],
)
def test_what_may_lose_its_value_is_refused(
    form: Any, declared: str, sent: str, values: list[Any]
) -> None:
    with pytest.raises(InvalidRequest, match=f"expected {declared}, got {sent}"):
        form(declared, sent, values)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [-1, 256, 2**40])
def test_a_whole_number_that_does_not_fit_is_named(form: Any, value: int) -> None:
    with pytest.raises(InvalidRequest, match=rf"expected UINT8, row 0 has {value}"):
        form("UINT8", "INT64", [3, value])


def test_values_sent_as_they_are_declared_are_not_copied() -> None:
    raw = as_binary("FP32", "FP32", [1.0, 2.0])
    assert isinstance(raw, memoryview)
