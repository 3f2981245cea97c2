"""The model repository over gRPC: what there is, load, unload."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from prometheus_ai_runtime.errors import RequestError
from prometheus_ai_runtime.grpc.wire import SIZED, fields, read_text, sized, text
from prometheus_ai_runtime.hosting import repository
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.http2.call import Call

_MODEL, _PARAMETERS = 2, 3
_KEY, _VALUE = 1, 2
_STRING_PARAMETER = 3


class Repository:
    """Changes which models are loaded."""

    def __init__(self, host: ModelHost) -> None:
        self._host = host

    def index(self, call: Call, message: bytes) -> None:
        """RepositoryIndex."""
        only_ready = any(
            number == 2 and value for number, _, value, _, _ in fields(message, 0, len(message))
        )
        listed = repository.index(self._host, only_ready=only_ready)
        call.answer(
            b"".join(
                sized(
                    1,
                    text(1, each.name)
                    + text(2, each.version)
                    + text(3, each.state)
                    + text(4, each.reason),
                )
                for each in listed
            )
        )

    def load(self, call: Call, message: bytes) -> None:
        """RepositoryModelLoad; answers when the model serves."""
        name, parameters = _read(message)
        repository.refuse_files(parameters)
        doing = repository.load(self._host, name, parameters.get("config"))
        self._answer_after(call, doing)

    def unload(self, call: Call, message: bytes) -> None:
        """RepositoryModelUnload; answers when the memory is free."""
        name, parameters = _read(message)
        doing = repository.unload(self._host, name, parameters.get("version", ""))
        self._answer_after(call, doing)

    def _answer_after(self, call: Call, doing: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                await doing
            except RequestError as error:
                call.refuse(error)
            else:
                call.answer(b"")

        self._host.own(asyncio.get_running_loop().create_task(run()))


def _read(message: bytes) -> tuple[str, dict[str, str]]:
    """Read the model's name and the parameters that are text."""
    name, parameters = "", {}
    for number, kind, _, begin, end in fields(message, 0, len(message)):
        if kind == SIZED and number == _MODEL:
            name = read_text(message, begin, end)
        elif kind == SIZED and number == _PARAMETERS:
            key, value = _read_parameter(message, begin, end)
            parameters[key] = value
    return name, parameters


def _read_parameter(message: bytes, begin: int, end: int) -> tuple[str, str]:
    key = value = ""
    for number, kind, _, start, stop in fields(message, begin, end):
        if number == _KEY and kind == SIZED:
            key = read_text(message, start, stop)
        elif number == _VALUE and kind == SIZED:
            for choice, choice_kind, _, first, last in fields(message, start, stop):
                if choice == _STRING_PARAMETER and choice_kind == SIZED:
                    value = read_text(message, first, last)
    return key, value
