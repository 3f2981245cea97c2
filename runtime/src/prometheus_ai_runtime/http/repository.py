"""The model repository extension: what there is, load, unload."""

import asyncio
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Any

import orjson

from prometheus_ai_runtime.errors import InvalidRequest, RequestError
from prometheus_ai_runtime.hosting import repository
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.http.exchange import Exchange
from prometheus_ai_runtime.http.router import Router


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
        listed = [asdict(each) for each in repository.index(self._host, only_ready=only_ready)]
        exchange.answer(200, orjson.dumps(listed))

    def load(self, exchange: Exchange) -> None:
        """Load or reload a known model, or one from the repository folder; answers when it serves."""
        parameters = _document(exchange.body).get("parameters") or {}
        if not isinstance(parameters, dict):
            raise InvalidRequest("`parameters` must be an object")
        repository.refuse_files(parameters)
        name, wished = exchange.head.model, parameters.get("config")
        self._answer_after(exchange, repository.load(self._host, name, wished))

    def unload(self, exchange: Exchange) -> None:
        """Unload a model, or one version of it; answers when its memory is free."""
        parameters = _document(exchange.body).get("parameters") or {}
        version = parameters.get("version", "") if isinstance(parameters, dict) else None
        if not isinstance(version, str):
            raise InvalidRequest("parameter `version` must be a string")
        self._answer_after(exchange, repository.unload(self._host, exchange.head.model, version))

    def _answer_after(self, exchange: Exchange, doing: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                await doing
            except RequestError as error:
                exchange.refuse(error)
            else:
                exchange.answer(200, b"{}")

        self._host.own(asyncio.get_running_loop().create_task(run()))


def _document(body: bytes | memoryview) -> dict[str, Any]:
    if not bytes(body).strip():
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidRequest("the body must be a JSON object")
    return document
