"""The protocol's messages, against the protocol buffers library and the Triton client's schema."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb

from prometheus_ai_runtime.errors import InvalidRequest, RequestError
from prometheus_ai_runtime.grpc import wire
from prometheus_ai_runtime.grpc.request import (
    layout_of,
    read_envelope,
    read_raw,
    read_typed,
    split,
)
from prometheus_ai_runtime.http2.status import Malformed, percent_encoded
from prometheus_ai_runtime.signature import Signature, TensorSpec
from prometheus_ai_runtime.tensors.plan import Plan

TYPED: dict[str, tuple[str, Any]] = {
    "BOOL": ("bool_contents", st.booleans()),
    "INT8": ("int_contents", st.integers(-(2**7), 2**7 - 1)),
    "INT16": ("int_contents", st.integers(-(2**15), 2**15 - 1)),
    "INT32": ("int_contents", st.integers(-(2**31), 2**31 - 1)),
    "INT64": ("int64_contents", st.integers(-(2**63), 2**63 - 1)),
    "UINT8": ("uint_contents", st.integers(0, 2**8 - 1)),
    "UINT16": ("uint_contents", st.integers(0, 2**16 - 1)),
    "UINT32": ("uint_contents", st.integers(0, 2**32 - 1)),
    "UINT64": ("uint64_contents", st.integers(0, 2**64 - 1)),
    "FP32": ("fp32_contents", st.floats(width=32, allow_nan=False, allow_infinity=False)),
    "FP64": ("fp64_contents", st.floats(allow_nan=False, allow_infinity=False)),
    "BYTES": ("bytes_contents", st.binary(max_size=20)),
}


def _plan(datatype: str = "FP32") -> Plan:
    signature = Signature(
        inputs=(TensorSpec(name="x", datatype=datatype, shape=(-1, 2)),),
        outputs=(
            TensorSpec(name="y", datatype=datatype, shape=(-1, 2)),
            TensorSpec(name="z", datatype="INT64", shape=(-1,)),
        ),
    )
    return Plan(signature, batched=True)


def _request(rows: int = 2, datatype: str = "FP32", **fields: Any) -> Any:
    request = pb.ModelInferRequest(model_name="m", **fields)
    tensor = request.inputs.add()
    tensor.name, tensor.datatype = "x", datatype
    tensor.shape.extend([rows, 2])
    return request


@given(st.integers(-(2**63), 2**64 - 1))
def test_numbers_come_back(value: int) -> None:
    encoded = wire.varint(value)
    assert wire.read_varint(encoded, 0) == (value % 2**64, len(encoded))


@given(st.lists(st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1)), max_size=50))
def test_packed_numbers_are_read_all_at_once(values: list[int]) -> None:
    encoded = b"".join(wire.varint(value) for value in values)
    assert wire.packed_varints(encoded, 0, len(encoded)).tolist() == values


@given(st.binary(max_size=200))
def test_any_bytes_are_packed_numbers_or_malformed(data: bytes) -> None:
    try:
        wire.packed_varints(data, 0, len(data))
    except Malformed:
        return


@given(data=st.data(), datatype=st.sampled_from(sorted(TYPED)), rows=st.integers(1, 5))
def test_typed_values_arrive_as_the_same_bytes(data: Any, datatype: str, rows: int) -> None:
    field, values = TYPED[datatype]
    given_values = data.draw(st.lists(values, min_size=2 * rows, max_size=2 * rows))
    request = _request(rows, datatype)
    getattr(request.inputs[0].contents, field).extend(given_values)
    message = request.SerializeToString()
    layout = layout_of(read_envelope(message), _plan(datatype))
    assert layout.typed
    (part,) = read_typed(message, layout, finite_only=False)
    if datatype == "BYTES":
        assert part == given_values
    else:
        dtype = {"BOOL": "bool", "FP32": "float32", "FP64": "float64"}.get(
            datatype, datatype.lower()
        )
        assert bytes(part) == np.array(given_values, dtype).tobytes()


@given(
    request_id=st.text(max_size=20),
    version=st.text(max_size=5),
    rows=st.integers(1, 4),
    outputs=st.lists(st.sampled_from(["y", "z"]), unique=True),
    priority=st.integers(0, 9),
)
def test_raw_requests_are_read_as_sent(
    request_id: str, version: str, rows: int, outputs: list[str], priority: int
) -> None:
    request = _request(rows, id=request_id, model_version=version)
    request.parameters["priority"].uint64_param = priority
    request.parameters["note"].string_param = "text"
    request.parameters["share"].double_param = 0.5
    request.parameters["timeout"].int64_param = -1
    for name in outputs:
        request.outputs.add().name = name
    values = np.arange(rows * 2, dtype="<f4")
    request.raw_input_contents.append(values.tobytes())
    message = request.SerializeToString(deterministic=True)
    parts = split(message)
    envelope = read_envelope(parts.message[: parts.raw_at])
    layout = layout_of(envelope, _plan())
    assert parts.request_id() == envelope.id == request_id
    assert (envelope.model, envelope.version) == ("m", version)
    assert envelope.parameters == {
        "priority": priority,
        "note": "text",
        "share": 0.5,
        "timeout": -1,
    }
    assert layout.wanted == tuple({"y": 0, "z": 1}[name] for name in outputs or ["y", "z"])
    (part,) = read_raw(parts.message, parts.raw_at, layout, finite_only=True)
    assert bytes(part) == values.tobytes()


def test_requests_that_differ_only_in_their_id_share_a_key() -> None:
    keys = set()
    for request_id in ("one", "two", "a longer id"):
        request = _request(id=request_id)
        request.raw_input_contents.append(bytes(16))
        keys.add(split(request.SerializeToString()).key)
    assert len(keys) == 1


def test_raw_values_before_their_inputs_are_put_in_order() -> None:
    request = _request()
    raw = wire.sized(7, bytes(16))
    message = raw + request.SerializeToString()
    parts = split(message)
    layout = layout_of(read_envelope(parts.message[: parts.raw_at]), _plan())
    assert read_raw(parts.message, parts.raw_at, layout, finite_only=True) == [bytes(16)]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ([], "1 inputs have 0 raw values"),
        ([bytes(16), bytes(16)], "1 inputs have 2 raw values"),
        ([bytes(15)], "16 bytes, 15 were sent"),
        ([np.array([1, 2, np.nan, 4], "<f4").tobytes()], "row 1 has NaN or infinity"),
    ],
)
def test_wrong_raw_values_are_named(raw: list[bytes], says: str) -> None:
    request = _request()
    request.raw_input_contents.extend(raw)
    parts = split(request.SerializeToString())
    layout = layout_of(read_envelope(parts.message[: parts.raw_at]), _plan())
    with pytest.raises(InvalidRequest, match=says):
        read_raw(parts.message, parts.raw_at, layout, finite_only=True)


def test_values_that_do_not_fit_are_refused() -> None:
    request = _request(1, "INT8")
    request.inputs[0].contents.int_contents.extend([1, 300])
    message = request.SerializeToString()
    layout = layout_of(read_envelope(message), _plan("INT8"))
    with pytest.raises(InvalidRequest, match="does not fit INT8"):
        read_typed(message, layout, finite_only=False)


def test_a_flood_of_tensors_is_refused_before_it_is_read() -> None:
    request = pb.ModelInferRequest(model_name="m")
    for _ in range(2000):
        request.inputs.add().name = "x"
    with pytest.raises(InvalidRequest, match="more than 1024"):
        read_envelope(request.SerializeToString())


@given(st.binary(max_size=400), st.integers(0, 200), st.binary(max_size=8))
def test_any_bytes_are_a_request_or_an_error_for_the_client(
    noise: bytes, at: int, patch: bytes
) -> None:
    request = _request(id="some id")
    request.raw_input_contents.append(bytes(16))
    good = request.SerializeToString()
    for message in (noise, good[:at] + patch + good[at + len(patch) :], good[:at]):
        try:
            parts = split(message)
            layout = layout_of(read_envelope(parts.message[: parts.raw_at]), _plan())
            if layout.typed:
                read_typed(parts.message, layout, finite_only=True)
            else:
                read_raw(parts.message, parts.raw_at, layout, finite_only=True)
        except RequestError:
            continue


def test_status_messages_are_written_as_headers_can_carry_them() -> None:
    assert percent_encoded("100% für alle\n") == b"100%25 f%C3%BCr alle%0A"
