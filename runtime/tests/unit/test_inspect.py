"""``pai-runtime inspect``: what is said of a file, and that nothing in it runs."""

import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
from sklearn.linear_model import LogisticRegression

from prometheus_ai_runtime.engine_errors import EngineError
from prometheus_ai_runtime.inspect import inspect, main
from prometheus_ai_runtime.provenance import digest

ROWS, LABELS = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])


@pytest.fixture
def classifier() -> Any:
    return LogisticRegression().fit(ROWS, LABELS)


def test_an_onnx_file_tells_its_signature_and_makers(iris_onnx: Path) -> None:
    found = inspect(iris_onnx)
    assert (found.engine, found.format, found.runs_code) == ("onnx", "onnx", False)
    assert found.signature is not None
    assert [each.name for each in found.signature.outputs] == ["label", "probabilities"]
    assert found.batchable
    assert "skl2onnx" in found.libraries
    assert "opset ai.onnx" in found.libraries
    assert found.sha256 == hashlib.sha256(iris_onnx.read_bytes()).hexdigest()
    assert found.size_bytes == iris_onnx.stat().st_size
    assert not found.warnings


def test_a_skops_file_tells_the_versions_that_wrote_it(tmp_path: Path, classifier: Any) -> None:
    path = tmp_path / "model.skops"
    skops.io.dump(classifier, path)
    found = inspect(path)
    assert found.libraries == {"scikit-learn": sklearn.__version__, "skops": skops.__version__}


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3)])
def test_a_joblib_files_version_is_read_without_running_it(
    tmp_path: Path, classifier: Any, compress: Any
) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(classifier, path, compress=compress)
    found = inspect(path)
    assert found.libraries == {"scikit-learn": sklearn.__version__}
    assert found.runs_code
    assert found.signature is None
    assert "runs code when it is loaded" in found.warnings[0]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocols_version_is_read(
    tmp_path: Path, classifier: Any, protocol: int
) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(classifier, protocol=protocol))
    assert inspect(path).libraries == {"scikit-learn": sklearn.__version__}


def test_a_pickle_that_is_allowed_is_loaded_and_still_warned_of(
    tmp_path: Path, classifier: Any
) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(classifier, path)
    found = inspect(path, allow_pickle=True)
    assert found.signature is not None
    assert "executes code when it is loaded" in found.warnings[-1]


def test_looking_at_a_bomb_does_not_set_it_off(tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> Any:
            return (mark.touch, ())

    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Bomb()))
    inspect(path)
    assert not mark.exists()


def test_the_version_mark_of_a_file_that_is_only_noise_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x04" + bytes(range(256)) * 50)
    assert inspect(path).libraries == {}


def test_the_digest_of_a_folder_is_that_of_its_listing(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"second")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "c").write_bytes(b"first")
    listing = "".join(
        f"{hashlib.sha256(content).hexdigest()}  ./{name}\n"
        for name, content in (("a/c", b"first"), ("b", b"second"))
    )
    assert digest(tmp_path) == hashlib.sha256(listing.encode()).hexdigest()


def test_json_has_every_field(iris_onnx: Path, capsysbinary: Any) -> None:
    assert main([str(iris_onnx), "--json"]) == 0
    document = json.loads(capsysbinary.readouterr().out)
    assert document["signature"]["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}]
    assert set(document) == {
        "path",
        "engine",
        "format",
        "runs_code",
        "signature",
        "batchable",
        "libraries",
        "size_bytes",
        "sha256",
        "warnings",
        "missing",
    }


def test_people_get_text(iris_onnx: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(iris_onnx)]) == 0
    assert "input      X FP32 [any, 4]" in capsys.readouterr().out


def test_what_a_model_prints_is_no_part_of_the_answer(tmp_path: Path) -> None:
    tensor = "[{'name': 'x', 'datatype': 'FP32', 'shape': [-1, 1]}]"
    path = tmp_path / "talks.py"
    path.write_text(
        f"class Talks:\n    signature = {{'inputs': {tensor}, 'outputs': {tensor}}}\n"
        "    def __init__(self): print('loading')\n    def predict(self, x): return x\n"
    )
    command = [sys.executable, "-m", "prometheus_ai_runtime", "inspect", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout)["engine"] == "python"
    assert b"loading" in done.stderr


def test_what_is_no_model_ends_with_the_documented_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    assert main([str(path)]) == 65
    assert "no engine recognises" in capsys.readouterr().err
    with pytest.raises(EngineError):
        inspect(path)
