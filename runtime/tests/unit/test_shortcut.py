"""The short way reads what the long way reads, or nothing."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai_runtime.errors import RequestError
from prometheus_ai_runtime.signature import Signature, TensorSpec
from prometheus_ai_runtime.tensors.decode import decode
from prometheus_ai_runtime.tensors.plan import Plan
from prometheus_ai_runtime.tensors.shortcut import Shortcuts

OUTPUT = (TensorSpec(name="y", datatype="FP32", shape=(-1,)),)


def plan_of(*inputs: TensorSpec) -> Plan:
    return Plan(Signature(inputs=inputs, outputs=OUTPUT), batched=True)


NUMBERS = plan_of(TensorSpec(name="x", datatype="FP32", shape=(-1, 2)))
TEXTS = plan_of(TensorSpec(name="x", datatype="BYTES", shape=(-1,)))
PLAIN = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}'
TEXT = b'{"inputs":[{"name":"x","shape":[2],"datatype":"BYTES","data":["a","b"]}]}'


def taught(plan: Plan, *bodies: bytes) -> Shortcuts:
    shortcuts = Shortcuts(plan)
    for body in bodies:
        shortcuts.learn(body, decode(plan, body, None, True))
    return shortcuts


def test_a_body_like_one_before_is_read() -> None:
    found = taught(NUMBERS, PLAIN).read(PLAIN.replace(b"[1,2]}", b"[3.5,-1e3]}"))
    assert found is not None
    known, part = found
    assert known.decoded.rows == 1
    assert PLAIN[known.values_at :] == b"[1,2]}]}"
    assert part == decode(NUMBERS, PLAIN.replace(b"[1,2]}", b"[3.5,-1e3]}"), None, True).parts[0]


def test_texts_are_read() -> None:
    found = taught(TEXTS, TEXT).read(TEXT.replace(b'"a"', '"ü]}]}"'.encode()))
    assert found is not None
    assert found[1] == ["ü]}]}".encode(), b"b"]


def test_spaces_and_another_order_of_fields_are_learned() -> None:
    body = b'{"inputs": [{"datatype": "FP32", "shape": [1, 2], "name": "x", "data": [1, 2]}]}'
    assert taught(NUMBERS, body).read(body) is not None


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1]}]}',
        b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2,3]}]}',
        b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,"2"]}]}',
        b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,null]}]}',
        b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,1e39]}]}',
        b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2],"data":[3,4]}]}',
        b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]} ]}]}',
        b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]},{"a":[]}]}',
        b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]',
        b"",
        b"[]",
    ],
)
def test_other_bodies_take_the_long_way(body: bytes) -> None:
    assert taught(NUMBERS, PLAIN).read(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"7","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}',
        b'{"inputs":[{"name":"x","data":[0],"shape":[1,2],"datatype":"FP32","data":[1,2]}]}',
        b'{"parameters":{},"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}',
    ],
)
def test_surroundings_that_say_more_are_not_learned(body: bytes) -> None:
    assert taught(NUMBERS, body).read(body) is None


def test_two_inputs_are_not_learned() -> None:
    inputs = [TensorSpec(name=name, datatype="FP32", shape=(-1, 2)) for name in "xy"]
    plan = plan_of(*inputs)
    tensors = [{"name": n, "shape": [1, 2], "datatype": "FP32", "data": [1, 2]} for n in "xy"]
    body = orjson.dumps({"inputs": tensors})
    assert taught(plan, body).read(body) is None


pieces = st.sampled_from(
    [b"1", b",", b"[", b"]", b"{", b"}", b"]}]}", b'"data":[', b'"x"', b"2.5", b" ", b"null", b"-"]
)


@given(
    values=st.lists(pieces, max_size=8).map(b"".join),
    cut=st.integers(0, len(PLAIN)),
    inserted=st.lists(pieces, max_size=3).map(b"".join),
)
def test_whatever_the_short_way_reads_the_long_way_reads_alike(
    values: bytes, cut: int, inserted: bytes
) -> None:
    body = PLAIN.replace(b"1,2]}", values + b"]}")
    body = body[:cut] + inserted + body[cut:]
    shortcuts = taught(NUMBERS, PLAIN)
    for _ in range(2):
        found = shortcuts.read(body)
        try:
            decoded = decode(NUMBERS, body, None, True)
        except RequestError:
            assert found is None
            return
        if found is not None:
            known, part = found[0].decoded, found[1]
            assert (known.rows, known.row_shapes, [part]) == (
                decoded.rows,
                decoded.row_shapes,
                decoded.parts,
            )
            assert (known.id, known.wanted) == (decoded.id, decoded.wanted)
        shortcuts.learn(body, decoded)
