"""Which engine a model file calls for, from its content first and its name second."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

from prometheus_ai_runtime.engines.base import EngineError

ENGINES = ("onnx", "sklearn", "xgboost", "lightgbm", "torch", "huggingface", "python")
"""The engines by name, as configurations and the command line write them."""

_HEAD_BYTES = 4096
_COMPRESSED_PICKLES = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"]\x00\x00", b'\x04"M\x18', b"x")
_SUFFIXES = {
    ".onnx": "onnx",
    ".ort": "onnx",
    ".skops": "sklearn",
    ".joblib": "sklearn",
    ".pickle": "sklearn",
    ".pkl": "sklearn",
    ".ubj": "xgboost",
    ".py": "python",
}


def detect(path: Path | str) -> str:
    """Name the engine for a model file or folder.

    Nothing in the file is executed. A python engine may be written ``file.py:Class``.
    """
    path = Path(path)
    if path.suffix.startswith(".py:"):
        return "python"
    if not path.exists():
        raise EngineError(f"model {path} does not exist; check the path")
    if path.is_dir():
        return _detect_folder(path)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise EngineError(f"model {path} is empty; copy it again")
    for recognise in _RECOGNISERS:
        engine = recognise(path, head)
        if engine is not None:
            return engine
    if path.suffix in _SUFFIXES:
        return _SUFFIXES[path.suffix]
    raise EngineError(
        f"no engine recognises {path}; name one of {', '.join(ENGINES)} with --engine"
    )


def _detect_folder(path: Path) -> str:
    config = path / "config.json"
    if not config.is_file():
        raise EngineError(
            f"folder {path} has no config.json, so it is no Hugging Face model; "
            "give the path of the model file itself"
        )
    try:
        fields = json.loads(config.read_bytes())
    except ValueError as error:
        raise EngineError(f"{config} is not JSON: {error}") from error
    if not isinstance(fields, dict) or not {"model_type", "architectures"} & set(fields):
        raise EngineError(f"{config} names no model_type, so {path} is no Hugging Face model")
    return "huggingface"


def _recognise_archive(path: Path, head: bytes) -> str | None:
    if not head.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise EngineError(f"model {path} is a damaged zip archive: {error}") from error
    if "schema.json" in names:
        return "sklearn"
    inner = {name.partition("/")[2] for name in names}
    if (
        "data.pkl" in inner
        or "archive_format" in inner
        or "serialized_exported_program.json" in names
    ):
        return "torch"
    return None


def _recognise_pickle(path: Path, head: bytes) -> str | None:
    if head[0] == 0x80 and 2 <= head[1] <= 5:
        return "torch" if path.suffix in (".pt", ".pth") else "sklearn"
    if path.suffix in (".joblib", ".pkl", ".pickle") and head.startswith(_COMPRESSED_PICKLES):
        return "sklearn"
    return None


def _recognise_boosted_trees(path: Path, head: bytes) -> str | None:
    if head.startswith(b"tree\n") and b"\nversion=" in head:
        return "lightgbm"
    if head.lstrip()[:1] == b"{" and (b'"learner"' in head or b'"version"' in head[:200]):
        return "xgboost"
    if head.startswith(b"{") and b"learner" in head:
        return "xgboost"
    if head.startswith(b"binf"):
        raise EngineError(
            f"{path} is XGBoost's old binary format, which XGBoost no longer reads; "
            "load it with the version that wrote it and save as .json or .ubj"
        )
    return None


def _recognise_weights(path: Path, head: bytes) -> str | None:
    if path.suffix == ".safetensors":
        raise EngineError(
            f"{path} holds weights without a model; give the folder with config.json around it"
        )
    if head.startswith(b"GGUF"):
        raise EngineError(f"{path} is a GGUF language model; deploy it with an LLM engine")
    if head.startswith(b"\x89HDF\r\n"):
        raise EngineError(f"{path} is HDF5 (Keras); export the model to ONNX")
    return None


_RECOGNISERS: tuple[Callable[[Path, bytes], str | None], ...] = (
    _recognise_weights,
    _recognise_archive,
    _recognise_pickle,
    _recognise_boosted_trees,
)
