"""ONNX models, exported by skl2onnx or built node by node."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from prometheus_ai_runtime.engines.base import EngineError
from prometheus_ai_runtime.engines.onnx import _session_options
from prometheus_ai_runtime.signature import Signature, TensorSpec

Loader = Callable[..., Any]
Data = tuple[NDArray[Any], NDArray[Any]]


_IR_VERSION = 9
_OPSET = 17


def _graph(path: Path, inputs: Any, outputs: Any, nodes: Any) -> Any:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def classifier(iris: Data) -> Any:
    rows, labels = iris
    return LogisticRegression(max_iter=1000).fit(rows, labels)


@pytest.fixture
def exported(tmp_path: Path, classifier: Any, iris: Data) -> Any:
    def export(name: str = "model.onnx", **options: Any) -> Any:
        model = to_onnx(classifier, iris[0][:1].astype(np.float32), **options)
        path = tmp_path / name
        path.write_bytes(model.SerializeToString())
        return path

    return export


def test_a_classifier_answers_as_it_did_where_it_was_trained(
    exported: Any, loaded: Loader, classifier: Any, iris: Data
) -> None:
    model = loaded(exported(options={"zipmap": False}))
    answer = model.predict({"X": iris[0].astype(np.float32)})
    assert model.signature == Signature(
        inputs=(TensorSpec(name="X", datatype="FP32", shape=(-1, 4)),),
        outputs=(
            TensorSpec(name="label", datatype="INT64", shape=(-1,)),
            TensorSpec(name="probabilities", datatype="FP32", shape=(-1, 3)),
        ),
    )
    assert model.batchable
    assert np.array_equal(answer["label"], classifier.predict(iris[0]))
    np.testing.assert_allclose(
        answer["probabilities"], classifier.predict_proba(iris[0]), rtol=1e-3, atol=1e-5
    )


def test_a_map_as_output_is_refused_with_the_export_option_that_avoids_it(
    exported: Any, loaded: Loader
) -> None:
    with pytest.raises(EngineError, match="zipmap"):
        loaded(exported())


def test_a_map_left_out_of_the_declared_signature_does_not_matter(
    exported: Any, loaded: Loader, iris: Data
) -> None:
    declared = Signature(
        inputs=(TensorSpec(name="X", datatype="FP32", shape=(-1, 4)),),
        outputs=(TensorSpec(name="output_label", datatype="INT64", shape=(-1,)),),
    )
    model = loaded(exported(), signature=declared)
    assert list(model.predict({"X": iris[0][:2].astype(np.float32)})) == ["output_label"]


def test_a_declared_signature_that_disagrees_is_refused_with_every_difference(
    exported: Any, loaded: Loader
) -> None:
    declared = Signature(
        inputs=(TensorSpec(name="X", datatype="FP64", shape=(-1, 5)),),
        outputs=(TensorSpec(name="lable", datatype="INT64", shape=(-1,)),),
    )
    with pytest.raises(EngineError) as error:
        loaded(exported(options={"zipmap": False}), signature=declared)
    text = str(error.value)
    assert "declared FP64, the model has FP32" in text
    assert "declared shape [-1, 5], the model has [-1, 4]" in text
    assert "`lable`: not in the model, which has label, probabilities" in text


def test_strings_go_in_and_out_as_bytes(tmp_path: Path, loaded: Loader) -> None:
    shape = ["rows"]
    path = _graph(
        tmp_path / "echo.onnx",
        [("text", TensorProto.STRING, shape)],
        [("echo", TensorProto.STRING, shape)],
        [helper.make_node("Identity", ["text"], ["echo"])],
    )
    given = np.array(["grüße".encode(), b""], dtype=np.object_)
    assert loaded(path).predict({"text": given})["echo"].tolist() == given.tolist()


@pytest.mark.parametrize(
    ("kind", "datatype", "dtype"),
    [
        (TensorProto.BOOL, "BOOL", np.bool_),
        (TensorProto.UINT8, "UINT8", np.uint8),
        (TensorProto.INT8, "INT8", np.int8),
        (TensorProto.UINT16, "UINT16", np.uint16),
        (TensorProto.INT16, "INT16", np.int16),
        (TensorProto.UINT32, "UINT32", np.uint32),
        (TensorProto.INT32, "INT32", np.int32),
        (TensorProto.UINT64, "UINT64", np.uint64),
        (TensorProto.INT64, "INT64", np.int64),
        (TensorProto.FLOAT16, "FP16", np.float16),
        (TensorProto.FLOAT, "FP32", np.float32),
        (TensorProto.DOUBLE, "FP64", np.float64),
    ],
)
def test_every_datatype_passes_through(
    tmp_path: Path, loaded: Loader, kind: int, datatype: str, dtype: Any
) -> None:
    path = _graph(
        tmp_path / "echo.onnx",
        [("x", kind, ["rows", 2])],
        [("y", kind, ["rows", 2])],
        [helper.make_node("Identity", ["x"], ["y"])],
    )
    model = loaded(path)
    given = np.array([[0, 1], [1, 0], [1, 1]], dtype=dtype)
    assert model.signature.inputs[0].datatype == datatype
    answer = model.predict({"x": given})["y"]
    assert answer.dtype == dtype
    assert np.array_equal(answer, given)


def test_a_fixed_batch_size_is_not_batched(tmp_path: Path, loaded: Loader) -> None:
    path = _graph(
        tmp_path / "fixed.onnx",
        [("x", TensorProto.FLOAT, [1, 2])],
        [("y", TensorProto.FLOAT, [1, 2])],
        [helper.make_node("Identity", ["x"], ["y"])],
    )
    assert not loaded(path).batchable


def test_inputs_whose_rows_differ_are_not_batched(tmp_path: Path, loaded: Loader) -> None:
    path = _graph(
        tmp_path / "join.onnx",
        [("a", TensorProto.FLOAT, ["left", 2]), ("b", TensorProto.FLOAT, ["right", 2])],
        [("y", TensorProto.FLOAT, ["both", 2])],
        [helper.make_node("Concat", ["a", "b"], ["y"], axis=0)],
    )
    assert not loaded(path).batchable


def test_a_damaged_file_is_one_clear_error(tmp_path: Path, loaded: Loader) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\x08\x09 this is no model")
    with pytest.raises(EngineError, match=r"could not load .*broken\.onnx"):
        loaded(path)


def test_a_gpu_that_is_not_there_is_refused(exported: Any, loaded: Loader) -> None:
    with pytest.raises(EngineError, match=r"cuda:0 was asked for.*onnxruntime-gpu"):
        loaded(exported(options={"zipmap": False}), device="cuda:0")


def test_an_unknown_option_is_refused_by_name(exported: Any, loaded: Loader) -> None:
    with pytest.raises(EngineError, match="option 'speed' is not known to the onnx engine"):
        loaded(exported(options={"zipmap": False}), options={"speed": 11})


def test_shapes_that_came_once_leave_no_memory_behind() -> None:
    """ONNX Runtime would plan memory for each pair of a batch's rows and its longest text, for good."""
    assert _session_options(onnxruntime, threads=1).enable_mem_pattern is False
