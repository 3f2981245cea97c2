"""PyTorch: exports, TorchScript, pickles, and what each is not allowed to do."""

import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prometheus_ai_runtime.engines.base import EngineError, UnsafeFormat
from prometheus_ai_runtime.engines.torch_files import export_dangers, script_dangers
from prometheus_ai_runtime.signature import Signature, TensorSpec

Loader = Callable[..., Any]


pytestmark = pytest.mark.requires("torch")

DECLARED = Signature(
    inputs=(TensorSpec(name="image", datatype="FP32", shape=(-1, 4)),),
    outputs=(TensorSpec(name="output", datatype="FP32", shape=(-1, 3)),),
)
ROWS = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def linear(torch: Any) -> Any:
    class Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 3)

        def forward(self, image: Any) -> Any:
            return self.layer(image)

    return Linear().eval()


@pytest.fixture
def exported(torch: Any, tmp_path: Path) -> Any:
    def export(module: Any, dtype: Any = torch.float32) -> Any:
        rows = torch.export.Dim("rows", min=1)
        example = (torch.zeros(2, 4, dtype=dtype),)
        program = torch.export.export(module, example, dynamic_shapes={"image": {0: rows}})
        path = tmp_path / "model.pt2"
        torch.export.save(program, path)
        return path

    return export


@pytest.fixture
def scripted(torch: Any, tmp_path: Path, linear: Any) -> Any:
    def script(**extra_files: Any) -> Any:
        path = tmp_path / "model.pt"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.trace(linear, torch.zeros(2, 4))
            torch.jit.save(module, str(path), _extra_files=extra_files)
        return path

    return script


def _rewritten(path: Path, change: Any) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))
    return path


def test_an_export_carries_its_own_signature(
    torch: Any, exported: Any, linear: Any, loaded: Loader
) -> None:
    model = loaded(exported(linear))
    assert model.signature == DECLARED
    assert model.batchable
    expected = linear(torch.from_numpy(ROWS)).detach().numpy()
    np.testing.assert_allclose(model.predict({"image": ROWS})["output"], expected, rtol=1e-5)
    np.testing.assert_allclose(
        model.predict({"image": ROWS[:1]})["output"], expected[:1], rtol=1e-5
    )


def test_a_dict_of_outputs_keeps_its_names(torch: Any, exported: Any, loaded: Loader) -> None:
    class Named(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 3)

        def forward(self, image: Any) -> Any:
            scores = self.layer(image)
            return {"label": scores.argmax(-1), "probability": scores.softmax(-1)}

    model = loaded(exported(Named().eval()))
    assert [(each.name, each.datatype) for each in model.signature.outputs] == [
        ("label", "INT64"),
        ("probability", "FP32"),
    ]
    assert set(model.predict({"image": ROWS})) == {"label", "probability"}


def test_bfloat16_travels_as_float32(torch: Any, exported: Any, loaded: Loader) -> None:
    class Twice(torch.nn.Module):
        def forward(self, image: Any) -> Any:
            return image * 2

    model = loaded(exported(Twice(), torch.bfloat16))
    answer = model.predict({"image": np.array([[1.5, 2, 3, 4]], dtype=np.float32)})["output"]
    assert model.signature.inputs[0].datatype == "BF16"
    assert answer.dtype == np.float32
    assert answer.tolist() == [[3, 4, 6, 8]]


def test_an_export_with_a_pickled_payload_is_refused(
    exported: Any, linear: Any, loaded: Loader
) -> None:
    path = _rewritten(
        exported(linear),
        lambda name, content: content.replace(b'"use_pickle": false', b'"use_pickle": true'),
    )
    with pytest.raises(UnsafeFormat, match="a pickled payload"):
        loaded(path)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("torch.ops.aten.linear.default", "torch.serialization.load"),
        ("torch.ops.aten.linear.default", "torch.ops.aten.from_file.default"),
        ("torch.ops.aten.linear.default", "_operator.methodcaller"),
        ("Symbol(", "exec("),
        ("Symbol(", "().__class__.__base__.__subclasses__("),
    ],
)
def test_an_export_that_calls_more_than_arithmetic_is_refused(
    exported: Any, linear: Any, loaded: Loader, was: str, becomes: str
) -> None:
    path = _rewritten(
        exported(linear), lambda name, content: content.replace(was.encode(), becomes.encode())
    )
    assert list(export_dangers(path))
    with pytest.raises(UnsafeFormat):
        loaded(path)


def test_example_inputs_that_are_a_bomb_never_go_off(
    exported: Any, linear: Any, loaded: Loader, tmp_path: Path, torch: Any
) -> None:
    mark = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> Any:
            return (mark.touch, ())

    bomb = tmp_path / "bomb.pt"
    torch.save(Bomb(), bomb)

    def plant(name: str, content: bytes) -> Any:
        return bomb.read_bytes() if "/data/sample_inputs/" in name else content

    with pytest.raises(UnsafeFormat, match="more than tensors"):
        loaded(_rewritten(exported(linear), plant))
    assert not mark.exists()


def test_torchscript_needs_a_signature_and_says_with_which_inputs(
    scripted: Any, loaded: Loader
) -> None:
    with pytest.raises(EngineError, match="inputs image"):
        loaded(scripted())


def test_torchscript_takes_the_declared_signature(
    torch: Any, scripted: Any, loaded: Loader, linear: Any
) -> None:
    model = loaded(scripted(), signature=DECLARED)
    expected = linear(torch.from_numpy(ROWS)).detach().numpy()
    np.testing.assert_allclose(model.predict({"image": ROWS})["output"], expected, rtol=1e-5)


def test_torchscript_may_carry_its_signature(scripted: Any, loaded: Loader) -> None:
    written = {
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "output", "datatype": "FP32", "shape": [-1, 3]}],
    }
    assert loaded(scripted(**{"signature.json": json.dumps(written)})).signature == DECLARED


def test_torchscript_that_reaches_for_files_is_refused(scripted: Any, loaded: Loader) -> None:
    def forge(name: str, content: bytes) -> Any:
        return content.replace(b"forward(", b"torch.save(", 1) if name.endswith(".py") else content

    path = _rewritten(scripted(), forge)
    assert list(script_dangers(path))
    with pytest.raises(UnsafeFormat, match=r"torch\.save"):
        loaded(path, signature=DECLARED)


def test_weights_alone_are_refused_with_what_to_do(
    torch: Any, linear: Any, tmp_path: Path, loaded: Loader
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(linear.state_dict(), path)
    with pytest.raises(UnsafeFormat, match=r"torch\.export"):
        loaded(path)
    with pytest.raises(EngineError, match="weights alone cannot run"):
        loaded(path, allow_pickle=True)


def test_a_pickled_module_runs_when_allowed(torch: Any, tmp_path: Path, loaded: Loader) -> None:
    path = tmp_path / "module.pt"
    torch.save(torch.nn.Linear(4, 3), path)
    model = loaded(path, allow_pickle=True, signature=DECLARED)
    assert model.predict({"image": ROWS})["output"].shape == (3, 3)


def test_a_gpu_that_is_not_there_is_refused(
    torch: Any, exported: Any, linear: Any, loaded: Loader
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(EngineError, match="sees no CUDA device"):
        loaded(exported(linear), device="cuda:0")


def test_a_bomb_in_a_pickle_is_not_even_opened(tmp_path: Path, loaded: Loader) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(UnsafeFormat):
        loaded(path)
