"""A whole server without sockets: connections on fake transports, a tiny model, a real event loop."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import httptools
import numpy as np

from prometheus_ai_runtime.batching.engine_call import EngineCall
from prometheus_ai_runtime.batching.stats import ModelStats
from prometheus_ai_runtime.config import Batching, Limits, ModelConfig, ServerConfig, Timeouts
from prometheus_ai_runtime.hosting.host import ModelHost
from prometheus_ai_runtime.hosting.loading import Loaded
from prometheus_ai_runtime.hosting.model import HostedModel
from prometheus_ai_runtime.http.connection import Connection
from prometheus_ai_runtime.http.door import Door
from prometheus_ai_runtime.http.router import Router
from prometheus_ai_runtime.http.routes import add_routes
from prometheus_ai_runtime.signature import Signature, TensorSpec
from prometheus_ai_runtime.tensors.plan import Plan

SIGNATURE = Signature(
    inputs=(
        TensorSpec(name="x", datatype="FP32", shape=(-1, 2)),
        TensorSpec(name="s", datatype="BYTES", shape=(-1, -1)),
        TensorSpec(name="b", datatype="BOOL", shape=(-1, 1)),
    ),
    outputs=(
        TensorSpec(name="y", datatype="FP32", shape=(-1, 2)),
        TensorSpec(name="t", datatype="BYTES", shape=(-1,)),
    ),
)


class TinyModel:
    """Doubles numbers, joins strings."""

    signature = SIGNATURE
    batchable = True
    missing_is_nan = False
    warnings: tuple[str, ...] = ()

    def predict(self, inputs: Any) -> dict[str, Any]:
        joined = np.empty(len(inputs["x"]), dtype=object)
        joined[:] = [b"+".join(row) for row in inputs["s"]]
        with np.errstate(over="ignore"):
            return {"y": inputs["x"] * 2, "t": joined}

    def close(self) -> None:
        return None


class FakeTransport:
    """Collects what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False
        self.reading = True

    def write(self, data: bytes) -> None:
        assert not self.closed, "written after the end"
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes


class _Responses:
    """Parses what was written, with a parser that is not ours."""

    def __init__(self) -> None:
        self.found: list[Response] = []
        self._headers: dict[str, str] = {}
        self._body = b""

    def on_message_begin(self) -> None:
        self._headers, self._body = {}, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.found.append(Response(self.parser.get_status_code(), self._headers, self._body))

    parser: Any


def parse_responses(data: bytes) -> list[Response]:
    """Every whole response; raises when what was written is not HTTP."""
    reader = _Responses()
    reader.parser = httptools.HttpResponseParser(reader)
    for piece in _without_continue(data):
        reader.parser.feed_data(piece)
    return reader.found


def _without_continue(data: bytes) -> Iterator[bytes]:
    yield data.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")


class FakeServer:
    """All of the server but its process; used inside a running loop."""

    def __init__(self, limits: Limits | None = None, batching: Batching | None = None) -> None:
        self.limits = limits or Limits()
        config = ServerConfig(models=(), limits=self.limits, timeouts=Timeouts())
        self.host = ModelHost(config)
        router = Router()
        self.door = Door(self.limits, config.timeouts, router.resolve)
        add_routes(router, self.host, self.door)
        self.model = self.add_model("tiny", TinyModel(), batching or Batching())
        self.host.phase = "ready"

    def add_model(
        self, name: str, model: Any, batching: Batching, version: str = "1"
    ) -> HostedModel:
        config = ModelConfig(name=name, version=version, path=cast(Any, None), batching=batching)
        hosted = HostedModel(config, self.host.throttling, "engine", ModelStats())
        plan = Plan(model.signature, model.batchable, batching.pad)
        loaded = Loaded(
            engine="onnx",
            model=model,
            plan=plan,
            call=EngineCall(model, plan, batching.rows_max),
            inline_us_max=1e9,
            memory_bytes=0,
            timings=((1, 1e-6),),
        )
        hosted.open(loaded)
        self.host.put(hosted)
        return hosted

    def connect(self) -> tuple[Connection, FakeTransport]:
        connection = Connection(self.door)
        transport = FakeTransport()
        connection.connection_made(cast(asyncio.BaseTransport, transport))
        return connection, transport

    async def idle(self) -> None:
        """Let everything that is queued be answered."""
        async with asyncio.timeout(30):
            for _ in range(3):
                await asyncio.sleep(0)
            while any(m.batcher.active() for m in self.host):  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def converse(self, *pieces: bytes) -> tuple[list[Response], FakeTransport]:
        """Send bytes piece by piece on one connection; gives the responses."""
        connection, transport = self.connect()
        for piece in pieces:
            if transport.closed:
                break
            connection.data_received(piece)
            await asyncio.sleep(0)
        await self.idle()
        connection.connection_lost(None)
        return parse_responses(bytes(transport.written)), transport
