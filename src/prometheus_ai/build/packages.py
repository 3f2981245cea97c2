"""Which packages of a lock go where; pure."""

import re
from collections.abc import Collection, Sequence

HEAVY = frozenset({
    "catboost", "cryptography", "cupy", "faiss-cpu", "grpcio", "httptools", "jax", "jaxlib",
    "joblib", "lightgbm", "llvmlite", "matplotlib", "narwhals", "networkx", "numba", "numpy",
    "onnx", "onnxruntime", "onnxruntime-gpu", "opencv-python", "opencv-python-headless", "pandas",
    "pillow", "polars", "protobuf", "pyarrow", "pydantic", "pydantic-core", "scikit-learn",
    "scipy", "spacy", "statsmodels", "sympy", "tensorflow", "tokenizers", "torch", "torchaudio",
    "torchvision", "transformers", "triton", "uvloop", "vllm", "xgboost", "xgboost-cpu",
})  # fmt: skip
"""Large packages that change seldom, and what changes with them: apart from the rest, they are pushed and built
seldom."""
HEAVY_PREFIXES = ("nvidia-", "tensorrt", "cuda-")

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")


def entries(lock: str) -> tuple[tuple[str, str], ...]:
    """Return (normal name, text with its hashes) of each package of a lock, in order."""
    found: list[tuple[str, str]] = []
    current: list[str] = []
    for line in lock.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        current.append(line)
        if not line.rstrip().endswith("\\"):
            found.append((_name(current[0]), "\n".join(current)))
            current = []
    return tuple(found)


def is_heavy(name: str) -> bool:
    """Whether a package belongs to the seldom-changing layer."""
    return name in HEAVY or name.startswith(HEAVY_PREFIXES)


def part(
    lock: str, sdists: Collection[str]
) -> tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]], Sequence[tuple[str, str]]]:
    """Split a lock into heavy, light, and those without a wheel, which are compiled."""
    everything = entries(lock)
    compiled = [entry for entry in everything if entry[0] in sdists]
    heavy = [entry for entry in everything if entry[0] not in sdists and is_heavy(entry[0])]
    light = [entry for entry in everything if entry[0] not in sdists and not is_heavy(entry[0])]
    return heavy, light, compiled


def text_of(found: Sequence[tuple[str, str]]) -> str:
    """Return a lock of these packages."""
    return "".join(f"{text}\n" for _, text in found)


def _name(line: str) -> str:
    match = _NAME.match(line)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""
