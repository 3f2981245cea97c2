"""Optional libraries and devices: found by name, or refused with the command that brings them."""

import importlib
import re
from typing import Any

from prometheus_ai_runtime.engines.base import EngineError, EngineMissing

_DEVICE = re.compile(r"cpu|cuda(?::(\d{1,3}))?")


def require(library: str, *, extra: str) -> Any:
    """Import an optional library, or say which extra installs it."""
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        missing = error.name or library
        if missing != library and not library.startswith(f"{missing}."):
            raise EngineError(
                f"{library} is installed but needs {missing}, which is not; "
                f"run: pip install {missing}"
            ) from error
        raise EngineMissing(
            f"{library} is not installed; run: pip install 'prometheus-ai-runtime[{extra}]'"
        ) from error
    except (ImportError, OSError) as error:
        raise EngineError(
            f"{library} is installed but cannot be imported ({error}); reinstall it"
        ) from error


def cuda_index(device: str) -> int | None:
    """Give the CUDA device number that ``device`` names, or None for the CPU."""
    match = _DEVICE.fullmatch(device)
    if match is None:
        raise EngineError(f"device {device!r} is not known; use cpu, cuda or cuda:N")
    if device == "cpu":
        return None
    return int(match.group(1) or 0)


def require_cpu(device: str, *, engine: str) -> None:
    """Refuse a GPU for an engine that has no code for one."""
    if cuda_index(device) is not None:
        raise EngineError(
            f"the {engine} engine runs on the CPU only and {device} was asked for; "
            "remove the device or export the model to ONNX"
        )
