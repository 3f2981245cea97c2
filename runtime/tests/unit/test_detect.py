"""Which engine a file calls for, told from its bytes."""

import json
import pickle
import zipfile
from pathlib import Path

import pytest

from prometheus_ai_runtime.detect import ENGINES, detect, recognise
from prometheus_ai_runtime.engine_errors import EngineError


def _zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"{}")
    return path


@pytest.mark.parametrize(
    ("name", "content", "engine", "kind"),
    [
        ("m.onnx", b"\x08\x09\x12\x04test", "onnx", "onnx"),
        ("m.txt", b"tree\nversion=v4\nnum_class=1\n", "lightgbm", "lightgbm-text"),
        ("m.json", b'{"learner":{"attributes":{}}}', "xgboost", "xgboost-json"),
        ("m.bin", b"{L\0\0\0\0\0\0\0\x07learner{", "xgboost", "xgboost-ubj"),
        ("m.pkl", pickle.dumps([1], protocol=4), "sklearn", "pickle"),
        ("m.joblib", b"x\x9c" + bytes(20), "sklearn", "pickle-compressed"),
        ("m.pt", pickle.dumps([1], protocol=2), "torch", "torch-pickle"),
        ("m.py", b"class Model: ...", "python", "python"),
    ],
)
def test_files_are_told_by_their_content(
    tmp_path: Path, name: str, content: bytes, engine: str, kind: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    found = recognise(path)
    assert (found.engine, found.format) == (engine, kind)
    assert detect(path) == engine
    assert engine in ENGINES


@pytest.mark.parametrize(
    ("names", "engine", "kind"),
    [
        (("schema.json", "1.npy"), "sklearn", "skops"),
        (("m/archive_format", "m/models/model.json"), "torch", "torch-export"),
        (("m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"), "torch", "torchscript"),
        (("m/data.pkl", "m/version"), "torch", "torch-pickle"),
    ],
)
def test_archives_are_told_by_their_members(
    tmp_path: Path, names: tuple[str, ...], engine: str, kind: str
) -> None:
    found = recognise(_zip(tmp_path / "model.bin", *names))
    assert (found.engine, found.format) == (engine, kind)


def test_a_python_class_may_be_named_after_a_colon(tmp_path: Path) -> None:
    assert detect(tmp_path / "model.py:Model") == "python"


def test_a_folder_with_a_model_type_is_hugging_faces(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    assert recognise(tmp_path).runs_code
    (tmp_path / "model.safetensors").touch()
    assert (detect(tmp_path), recognise(tmp_path).runs_code) == ("huggingface", False)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("m.onnx", b"", "is empty"),
        ("m.bin", b"nothing known", "no engine recognises"),
        ("m.bin", b"binf\0\0", "old binary format"),
        ("m.gguf", b"GGUF\3\0\0\0", "LLM engine"),
        ("m.h5", b"\x89HDF\r\n\x1a\n", "export the model to ONNX"),
        ("m.safetensors", b"\x10\0\0\0\0\0\0\0{}", "give the folder"),
        ("m.skops", b"PK\x03\x04broken", "damaged zip"),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_to_do(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(EngineError, match=says):
        detect(path)


def test_a_missing_file_and_a_strange_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not exist"):
        detect(tmp_path / "absent.onnx")
    with pytest.raises(EngineError, match=r"no config\.json"):
        detect(tmp_path)
