"""Which engine a model file calls for, from its content first and its name second."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_ai_runtime.engine_errors import EngineError

ENGINES = ("onnx", "sklearn", "xgboost", "lightgbm", "torch", "huggingface", "python")
"""The engines by name, as configurations and the command line write them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFile:
    """What a model file is, learned without executing anything in it."""

    engine: str
    format: str
    runs_code: bool = False
    """Whether loading executes what the file says: pickles and Python sources."""


_HEAD_BYTES = 4096
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"]\x00\x00", b'\x04"M\x18', b"x")
_PICKLE = ModelFile(engine="sklearn", format="pickle", runs_code=True)
_TORCH_PICKLE = ModelFile(engine="torch", format="torch-pickle", runs_code=True)
_SKOPS = ModelFile(engine="sklearn", format="skops")
_PYTHON = ModelFile(engine="python", format="python", runs_code=True)
_BY_SUFFIX = {
    ".onnx": ModelFile(engine="onnx", format="onnx"),
    ".skops": _SKOPS,
    ".joblib": _PICKLE,
    ".pickle": _PICKLE,
    ".pkl": _PICKLE,
    ".ubj": ModelFile(engine="xgboost", format="xgboost-ubj"),
    ".py": _PYTHON,
}


def detect(path: Path | str) -> str:
    """Name the engine for a model file or folder.

    A python engine may be written ``file.py:Class``. Raises EngineError when nothing fits.
    """
    return recognise(path).engine


def recognise(path: Path | str) -> ModelFile:
    """Tell engine and format of a model file or folder."""
    path = Path(path)
    if path.suffix.startswith(".py:"):
        return _PYTHON
    if not path.exists():
        raise EngineError(f"model {path} does not exist; check the path")
    if path.is_dir():
        return _recognise_folder(path)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise EngineError(f"model {path} is empty; copy it again")
    for recogniser in _RECOGNISERS:
        found = recogniser(path, head)
        if found is not None:
            return found
    if path.suffix in _BY_SUFFIX:
        return _BY_SUFFIX[path.suffix]
    raise EngineError(
        f"no engine recognises {path}; name one of {', '.join(ENGINES)} with --engine"
    )


def _recognise_folder(path: Path) -> ModelFile:
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
    pickled = not any(path.glob("*.safetensors"))
    return ModelFile(engine="huggingface", format="huggingface", runs_code=pickled)


def _recognise_archive(path: Path, head: bytes) -> ModelFile | None:
    if not head.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise EngineError(f"model {path} is a damaged zip archive: {error}") from error
    if "schema.json" in names:
        return _SKOPS
    inner = {name.partition("/")[2] for name in names}
    if "archive_format" in inner:
        return ModelFile(engine="torch", format="torch-export")
    if "serialized_exported_program.json" in names:
        raise EngineError(
            f"{path} was exported by a PyTorch before 2.7; export it again with a newer one"
        )
    if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
        return ModelFile(engine="torch", format="torchscript")
    if "data.pkl" in inner:
        return _TORCH_PICKLE
    return None


def _recognise_pickle(path: Path, head: bytes) -> ModelFile | None:
    if head[0] == 0x80 and 2 <= head[1] <= 5:
        return _TORCH_PICKLE if path.suffix in (".pt", ".pth") else _PICKLE
    if path.suffix in (".joblib", ".pkl", ".pickle") and head.startswith(_COMPRESSED):
        return ModelFile(engine="sklearn", format="pickle-compressed", runs_code=True)
    return None


def _recognise_boosted_trees(path: Path, head: bytes) -> ModelFile | None:
    if head.startswith(b"tree\n") and b"\nversion=" in head:
        return ModelFile(engine="lightgbm", format="lightgbm-text")
    if head.startswith(b"binf"):
        raise EngineError(
            f"{path} is XGBoost's old binary format, which XGBoost no longer reads; "
            "load it with the version that wrote it and save as .json or .ubj"
        )
    if head.lstrip()[:1] == b"{" and (b'"learner"' in head or b'"version"' in head[:200]):
        return ModelFile(engine="xgboost", format="xgboost-json")
    if head.startswith(b"{") and b"learner" in head:
        return ModelFile(engine="xgboost", format="xgboost-ubj")
    return None


def _refuse_foreign(path: Path, head: bytes) -> None:
    if path.suffix == ".safetensors":
        raise EngineError(
            f"{path} holds weights without a model; give the folder with config.json around it"
        )
    if head.startswith(b"GGUF"):
        raise EngineError(f"{path} is a GGUF language model; deploy it with an LLM engine")
    if head.startswith(b"\x89HDF\r\n"):
        raise EngineError(f"{path} is HDF5 (Keras); export the model to ONNX")


_RECOGNISERS: tuple[Callable[[Path, bytes], ModelFile | None], ...] = (
    _refuse_foreign,
    _recognise_archive,
    _recognise_pickle,
    _recognise_boosted_trees,
)
