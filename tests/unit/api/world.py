"""A whole control plane over fakes, behind a real HTTP server on loopback, with a model to ask."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import uvicorn

from prometheus_ai.api import create_app
from prometheus_ai.compose.clock import SystemClock
from prometheus_ai.control.control_plane import ControlPlane
from prometheus_ai.control.loops import Loops
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.route import GatewayStatus, Receipt, RouteTable
from prometheus_ai.domain.window import CounterSnapshot
from prometheus_ai.testing.fake_artefact_store import FakeArtefactStore
from prometheus_ai.testing.fake_driver import FakeDriver, FakeTarget
from prometheus_ai.testing.fake_environment import FakeEnvironmentResolver
from prometheus_ai.testing.memory_store import MemoryStore

WAIT_S = 20.0
SIGNATURE = {
    "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1]}],
}


class AcceptingGateway:
    """Accepts every table and counts nothing."""

    def __init__(self) -> None:
        self.table: RouteTable | None = None

    def publish(self, table: RouteTable) -> Receipt:
        """Take a table."""
        self.table = table
        return Receipt(generation=table.generation, accepted=True, took_s=0.001)

    def status(self) -> GatewayStatus:
        """Say that it serves."""
        generation = self.table.generation if self.table else 0
        return GatewayStatus(is_serving=True, generation=generation, url="")

    def read(self) -> CounterSnapshot:
        """Return no counters."""
        return CounterSnapshot(epoch="1", at=SystemClock().now(), releases=())


class SuffixInspector:
    """Knows ONNX by its suffix."""

    def inspect(self, path: Path, *, engine: str | None, allow_pickle: bool) -> Mapping[str, Any]:
        """Return an inspection in the shape of the model server's own."""
        if engine is None and path.suffix != ".onnx":
            raise InvalidInput(f"no engine recognises {path.name}")
        return {"engine": engine or "onnx", "allow_pickle": allow_pickle, **SIGNATURE}


class _Model(BaseHTTPRequestHandler):
    """A model behind a gateway: the label of a row is its largest column."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({"name": "digits", "versions": ["v1"], **SIGNATURE})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        (tensor,) = body["inputs"]
        rows, width = tensor["shape"]
        data = [tensor["data"][row * width : (row + 1) * width] for row in range(rows)]
        labels = [row.index(max(row)) for row in data]
        output = {"name": "label", "datatype": "INT64", "shape": [rows], "data": labels}
        self._answer({"model_name": "digits", "outputs": [output]})

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        version = "v2" if "/versions/v2" in self.path else "v1"
        self.send_response(200)
        for name, text in (
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("x-pai-release", f"digits/{version}"),
            ("x-pai-compute-us", "120"),
            ("x-pai-batch-rows", "1"),
        ):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


class World:
    """Everything behind the API, in one process."""

    def __init__(self, root: Path) -> None:
        self.target = FakeTarget()
        clock = SystemClock()
        self.driver = FakeDriver(clock, self.target)
        self.artefacts = FakeArtefactStore(root / "artefacts")
        gateway = AcceptingGateway()
        self._workers = ThreadPoolExecutor(max_workers=2)
        self._model = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
        self._model.daemon_threads = True
        self.store = MemoryStore()
        self.plane = Plane(
            store=self.store, artefacts=self.artefacts, drivers={"local": self.driver},
            routes=gateway, metrics=gateway, resolver=FakeEnvironmentResolver(),
            inspector=SuffixInspector(), clock=clock, workers=self._workers,
            gateway_url=f"http://127.0.0.1:{self._model.server_port}",
        )  # fmt: skip
        self.control = ControlPlane(self.plane)
        self.app = create_app(self.control)
        self._loops = Loops(plane=self.plane, reconcile_s=0.05, scrape_s=60, kept=timedelta(days=1))
        config = uvicorn.Config(
            self.app, host="127.0.0.1", port=0, log_level="error", lifespan="off", ws="none"
        )
        self._server = uvicorn.Server(config)
        self._threads = [
            threading.Thread(target=self._server.run, name="api", daemon=True),
            threading.Thread(
                target=self._model.serve_forever, args=(0.02,), name="model", daemon=True
            ),
        ]

    def start(self) -> None:
        """Start the loops and both servers."""
        self._loops.start()
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self._server.started)

    def stop(self) -> None:
        """Stop everything that was started; a start that failed half-way leaves nothing open either."""
        self._server.should_exit = True
        started = [thread for thread in self._threads if thread.ident is not None]
        if self._threads[1] in started:
            # It would wait for ever for a server that never served.
            self._model.shutdown()
        self._loops.stop()
        for thread in started:
            thread.join(WAIT_S)
        self._model.server_close()
        self._workers.shutdown()

    @property
    def url(self) -> str:
        """Where the API answers."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def token(self, role: str = "admin", name: str = "tester") -> str:
        """Make a token and return its secret."""
        return self.control.create_token(name, role, Asker(actor="test")).secret


@contextmanager
def running(root: Path) -> Iterator[World]:
    """Run a world while the block runs."""
    world = World(root)
    try:
        world.start()
        yield world
    finally:
        world.stop()


def wait_for(is_so: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    """Poll until something is so."""
    until = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until, "it did not become so in time"
        time.sleep(0.01)
