"""The model repository extension: what there is, load, unload."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from prometheus_ai_runtime.config import ConfigError, ModelConfig, parse_model
from prometheus_ai_runtime.engines.base import EngineError
from prometheus_ai_runtime.errors import InvalidRequest, RequestError
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.hosting.loading import LoadFailed
from prometheus_ai_runtime.http.exchange import Exchange
from prometheus_ai_runtime.http.router import Router

_STATES = {"ready": "READY", "loading": "LOADING", "returning": "LOADING", "evicted": "READY"}


class Repository:
    """``/v2/repository``: changes which models are loaded."""

    def __init__(self, host: ModelHost) -> None:
        self._host = host

    def add_routes(self, router: Router) -> None:
        """Put this object's endpoints on the router."""
        router.fixed("/v2/repository/index", post=self.index)
        router.repository("/load", post=self.load)
        router.repository("/unload", post=self.unload)

    def index(self, exchange: Exchange) -> None:
        """List the models with their states."""
        only_ready = _document(exchange.body).get("ready") is True
        listed = [
            {
                "name": m.config.name,
                "version": m.config.version,
                "state": _STATES.get(m.state, "UNAVAILABLE"),
                "reason": m.reason,
            }
            for m in self._host
            if m.ready or not only_ready
        ]
        exchange.answer(200, orjson.dumps(listed))

    def load(self, exchange: Exchange) -> None:
        """Load or reload a known model, or one from the repository folder; answers when it serves."""
        name = exchange.head.model
        parameters = _document(exchange.body).get("parameters") or {}
        if not isinstance(parameters, dict):
            raise InvalidRequest("`parameters` must be an object")
        wished = parameters.get("config")
        if wished is None:
            configs = self._host.configured(name)
        else:
            configs = [self._config(name, wished)]
        self._answer_after(exchange, self._load_all(configs))

    def unload(self, exchange: Exchange) -> None:
        """Unload a model, or one version of it; answers when its memory is free."""
        name = exchange.head.model
        parameters = _document(exchange.body).get("parameters") or {}
        version = parameters.get("version", "") if isinstance(parameters, dict) else None
        if not isinstance(version, str):
            raise InvalidRequest("parameter `version` must be a string")
        self._host.configured(name)
        self._answer_after(exchange, self._host.unload(name, version))

    async def _load_all(self, configs: list[ModelConfig]) -> None:
        for config in configs:
            await self._host.load(config)

    def _config(self, name: str, wished: Any) -> ModelConfig:
        folder = self._host.config.repository
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

    def _answer_after(self, exchange: Exchange, doing: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                await doing
            except RequestError as error:
                exchange.refuse(error)
            except (EngineError, LoadFailed) as error:
                exchange.refuse(InvalidRequest(str(error)))
            else:
                exchange.answer(200, b"{}")

        self._host.own(asyncio.get_running_loop().create_task(run()))


def _inside(folder: Path, model: ModelConfig) -> ModelConfig:
    """Refuse paths that leave the repository folder, and code from clients."""
    root = folder.resolve()
    path = (root / model.path).resolve()
    if not path.is_relative_to(root):
        raise InvalidRequest("parameter `config`: `path` must be inside the repository folder")
    if model.allow_pickle:
        raise InvalidRequest("parameter `config`: `allow_pickle` cannot be asked for over the wire")
    return replace(model, path=path)


def _document(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidRequest("the body must be a JSON object")
    return document
