"""What clients may see and change of the models that a server hosts, whatever protocol they speak."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from prometheus_ai_runtime.config import ConfigError, ModelConfig, parse_model
from prometheus_ai_runtime.engines.base import EngineError
from prometheus_ai_runtime.errors import InvalidRequest
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.hosting.loading import LoadFailed

_STATES = {"ready": "READY", "loading": "LOADING", "returning": "LOADING", "evicted": "READY"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One hosted model, as the repository extension tells it."""

    name: str
    version: str
    state: str
    reason: str


def index(host: ModelHost, *, only_ready: bool) -> Iterator[Listed]:
    """List the models with their states."""
    for model in host:
        if model.ready or not only_ready:
            yield Listed(
                name=model.config.name,
                version=model.config.version,
                state=_STATES.get(model.state, "UNAVAILABLE"),
                reason=model.reason,
            )


async def load(host: ModelHost, name: str, wished: Any = None) -> None:
    """Load or reload a known model, or as ``wished`` one from the repository folder.

    ``wished`` is a model's configuration, as an object or as JSON text. Raises RequestError.
    """
    configs = host.configured(name) if wished is None else [_config(host, name, wished)]
    try:
        for config in configs:
            await host.load(config)
    except (EngineError, LoadFailed) as error:
        raise InvalidRequest(str(error)) from error


def refuse_files(parameters: Iterable[str]) -> None:
    """Raise InvalidRequest for a load that brings the model's files with it."""
    if any(name.startswith("file:") for name in parameters):
        raise InvalidRequest("model files cannot be sent; put them in the repository folder")


async def unload(host: ModelHost, name: str, version: str = "") -> None:
    """Unload a model, or one version of it; ends when its memory is free. Raises RequestError."""
    host.configured(name)
    await host.unload(name, version)


def _config(host: ModelHost, name: str, wished: Any) -> ModelConfig:
    folder = host.config.repository
    if folder is None:
        raise InvalidRequest(
            "this server loads only the models it was started with; "
            "set `repository` in its configuration to allow others from that folder"
        )
    try:
        raw = orjson.loads(wished) if isinstance(wished, str) else wished
        if not isinstance(raw, dict):
            raise InvalidRequest("parameter `config` must be a model's configuration")
        model = parse_model({"name": name, "version": "1", **raw}, "config.")
    except (ConfigError, orjson.JSONDecodeError) as error:
        raise InvalidRequest(f"parameter `config`: {error}") from None
    if model.name != name:
        raise InvalidRequest(f"parameter `config` names `{model.name}`, the path `{name}`")
    return _inside(folder, model)


def _inside(folder: Path, model: ModelConfig) -> ModelConfig:
    """Refuse paths that leave the repository folder, and code from clients."""
    root = folder.resolve()
    path = (root / model.path).resolve()
    if not path.is_relative_to(root):
        raise InvalidRequest("parameter `config`: `path` must be inside the repository folder")
    if model.allow_pickle:
        raise InvalidRequest("parameter `config`: `allow_pickle` cannot be asked for over the wire")
    return replace(model, path=path)
