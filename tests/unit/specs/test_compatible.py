"""A new release understands the clients of the one before, or says which requests it would refuse."""

import pytest

from prometheus_ai.domain.spec import Signature
from prometheus_ai.specs.compatible import ACCEPTS, misunderstandings
from prometheus_ai_runtime.tensors import widen

Tensor = tuple[str, str, tuple[int, ...]]


def signature(*inputs: Tensor) -> Signature:
    return Signature.model_validate(
        {
            "inputs": [{"name": n, "datatype": d, "shape": s} for n, d, s in inputs],
            "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1]}],
        }
    )


IMAGE = ("image", "FP32", (-1, 64))


@pytest.mark.parametrize(
    "new",
    [
        IMAGE,
        ("image", "FP64", (-1, 64)),
        ("image", "FP32", (-1, -1)),
    ],
)
def test_what_the_model_server_takes_is_no_problem(new: Tensor) -> None:
    assert misunderstandings(signature(IMAGE), signature(new)) == ()


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (("pixels", "FP32", (-1, 64)), "'image' is sent, and the new model takes pixels"),
        (("image", "INT64", (-1, 64)), "sent as FP32, and the new model takes INT64"),
        (("image", "FP16", (-1, 64)), "sent as FP32, and the new model takes FP16"),
        (("image", "FP32", (-1, 128)), "shape [-1, 64], and the new model takes [-1, 128]"),
        (("image", "FP32", (-1, 8, 8)), "shape [-1, 64]"),
    ],
)
def test_what_would_be_refused_is_named(new: Tensor, said: str) -> None:
    assert said in misunderstandings(signature(IMAGE), signature(new))[0]


def test_an_input_that_nobody_sends_is_named() -> None:
    found = misunderstandings(signature(IMAGE), signature(IMAGE, ("mask", "BOOL", (-1, 64))))
    assert found == ("the new model also needs input 'mask', which is not sent",)


def test_the_platform_and_the_model_server_agree_on_what_is_taken() -> None:
    assert dict(ACCEPTS) == dict(widen.ACCEPTS)
