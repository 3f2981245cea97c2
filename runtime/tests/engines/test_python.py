"""Python classes as models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prometheus_ai_runtime.engines.base import EngineError
from prometheus_ai_runtime.signature import Signature, TensorSpec

Loader = Callable[..., Any]


HINTED = """
from typing import Annotated, TypedDict
import numpy as np
from numpy.typing import NDArray

class Answer(TypedDict):
    doubled: Annotated[NDArray[np.float32], -1, 2]
    total: Annotated[NDArray[np.float64], -1]

class Doubler:
    def load(self, path, threads):
        self.path, self.threads = path, threads

    def predict(self, values: Annotated[NDArray[np.float32], -1, 2]) -> Answer:
        return {"doubled": values * 2, "total": values.sum(axis=1)}
"""


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(source: Any, name: str = "model.py") -> Any:
        path = tmp_path / name
        path.write_text(source)
        return path

    return write


def test_type_hints_are_the_signature(written: Any, loaded: Loader) -> None:
    model = loaded(written(HINTED), threads=3)
    assert model.signature == Signature(
        inputs=(TensorSpec(name="values", datatype="FP32", shape=(-1, 2)),),
        outputs=(
            TensorSpec(name="doubled", datatype="FP32", shape=(-1, 2)),
            TensorSpec(name="total", datatype="FP64", shape=(-1,)),
        ),
    )
    answer = model.predict({"values": np.array([[1, 2]], dtype=np.float32)})
    assert answer["doubled"].tolist() == [[2, 4]]
    assert answer["total"].tolist() == [3]


def test_load_gets_the_folder_of_the_file_and_the_threads(
    written: Any, loaded: Loader, tmp_path: Path
) -> None:
    model = loaded(written(HINTED), threads=3)
    assert (model._instance.path, model._instance.threads) == (tmp_path, 3)


def test_lists_of_text_are_taken_and_given(written: Any, loaded: Loader) -> None:
    source = """
class Upper:
    def predict(self, text: list[str]) -> list[str]:
        return [each.upper() for each in text]
"""
    answer = loaded(written(source)).predict({"text": np.array([b"ab", b"c"], dtype=np.object_)})
    assert answer["output"].tolist() == [b"AB", b"C"]


PREPARING = """
from typing import Annotated
import numpy as np
from numpy.typing import NDArray

class Lengths:
    def prepare(self, text: list[str]) -> list[int]:
        return [len(each) for each in text]

    def predict(self, lengths: list) -> Annotated[NDArray[np.int64], -1]:
        return np.array(lengths)
"""


def test_a_class_may_prepare_apart_from_predicting(written: Any, loaded: Loader) -> None:
    model = loaded(written(PREPARING))
    assert [(t.name, t.datatype, t.shape) for t in model.signature.inputs] == [
        ("text", "BYTES", (-1,))
    ]
    texts = {"text": np.array([b"one", b"three"], dtype=object)}
    prepared = model.prepare(texts)
    assert prepared == [3, 5]
    assert model.run(prepared)["output"].tolist() == [3, 5]
    assert model.predict(texts)["output"].tolist() == [3, 5]


def test_a_method_of_that_name_that_takes_no_tensors_is_the_classes_own(
    written: Any, loaded: Loader
) -> None:
    source = (
        HINTED
        + """
    def prepare(self, values):
        raise NotImplementedError
"""
    )
    model = loaded(written(source))
    assert not hasattr(model, "prepare")
    assert model.signature.inputs[0].name == "values"


def test_a_class_with_a_signature_attribute_gets_the_batch_as_a_dict(
    written: Any, loaded: Loader
) -> None:
    source = """
class Adder:
    signature = {
        "inputs": [
            {"name": "a", "datatype": "INT64", "shape": [-1]},
            {"name": "b", "datatype": "INT64", "shape": [-1]},
        ],
        "outputs": [{"name": "sum", "datatype": "INT64", "shape": [-1]}],
    }

    def predict(self, batch):
        return batch["a"] + batch["b"]
"""
    answer = loaded(written(source)).predict({"a": np.array([1, 2]), "b": np.array([10, 20])})
    assert answer["sum"].tolist() == [11, 22]


def test_a_class_without_hints_takes_the_declared_signature(written: Any, loaded: Loader) -> None:
    tensor = TensorSpec(name="x", datatype="FP64", shape=(-1,))
    declared = Signature(
        inputs=(tensor,), outputs=(TensorSpec(name="y", datatype="FP64", shape=(-1,)),)
    )
    source = "class Same:\n    def predict(self, x):\n        return x\n"
    model = loaded(written(source), signature=declared)
    assert model.predict({"x": np.array([1.5])})["y"].tolist() == [1.5]


def test_a_class_that_says_nothing_is_told_how_to(written: Any, loaded: Loader) -> None:
    source = "class Same:\n    def predict(self, x):\n        return x\n"
    with pytest.raises(EngineError, match="Annotated"):
        loaded(written(source))


def test_one_of_several_classes_is_chosen_after_the_colon(
    written: Any, loaded: Loader, tmp_path: Path
) -> None:
    both = "".join(
        f"class {name}:\n    def predict(self, x: list[int]) -> list[int]:\n"
        f"        return [{value} for _ in x]\n"
        for name, value in (("One", 1), ("Two", 2))
    )
    path = written(both)
    with pytest.raises(EngineError, match="it has One, Two; name one"):
        loaded(path)
    model = loaded(tmp_path / "model.py:Two")
    assert model.predict({"x": np.array([7, 8])})["output"].tolist() == [2, 2]


def test_streams_end_when_the_reader_goes_away(written: Any, loaded: Loader) -> None:
    source = """
from collections.abc import Iterator

class Counter:
    ended = False

    def predict(self, upto: list[int]) -> list[int]:
        return upto

    def stream(self, upto: list[int]) -> Iterator[list[int]]:
        try:
            for number in range(upto[0]):
                yield [number]
        finally:
            Counter.ended = True
"""
    model = loaded(written(source))
    pieces = model.stream({"upto": np.array([100])})
    assert [next(pieces)["output"].tolist() for _ in range(2)] == [[0], [1]]
    pieces.close()
    assert type(model._instance).ended


def test_an_error_on_import_names_the_line(written: Any, loaded: Loader) -> None:
    with pytest.raises(EngineError, match=r"model\.py:2: ZeroDivisionError"):
        loaded(written("x = 1\ny = x / 0\n"))


def test_an_error_in_load_names_the_line(written: Any, loaded: Loader) -> None:
    source = (
        "class Broken:\n    def load(self, path):\n        open(path / 'weights')\n"
        "    def predict(self, x: list[int]) -> list[int]:\n        return x\n"
    )
    with pytest.raises(EngineError, match=r"load\(\) failed at .*model\.py:3: FileNotFoundError"):
        loaded(written(source))


def test_arguments_reach_the_constructor(written: Any, loaded: Loader) -> None:
    source = """
class Scale:
    def __init__(self, by=1):
        self.by = by

    def predict(self, x: list[int]) -> list[int]:
        return [each * self.by for each in x]
"""
    model = loaded(written(source), options={"arguments": {"by": 3}})
    assert model.predict({"x": np.array([2])})["output"].tolist() == [6]


def test_a_missing_output_is_an_error_that_names_it(written: Any, loaded: Loader) -> None:
    source = HINTED.replace('"total": values.sum(axis=1)', '"sum": values.sum(axis=1)')
    with pytest.raises(KeyError, match="`total`"):
        loaded(written(source)).predict({"values": np.zeros((1, 2), np.float32)})


def test_close_is_passed_on(written: Any, loaded: Loader) -> None:
    source = """
class Held:
    closed = False

    def predict(self, x: list[int]) -> list[int]:
        return x

    def close(self):
        Held.closed = True
"""
    model = loaded(written(source))
    kind = type(model._instance)
    model.close()
    assert kind.closed
