"""Real models and real server processes for the model server's tests."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PATIENCE_S = 60.0


def wait_until(claim: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Poll until the claim holds; a test that waits in vain says for what."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if claim():
            return
        time.sleep(0.02)
    raise AssertionError(f"waited {patience_s:g} s in vain until {what}")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Running:
    """A pai-runtime process."""

    process: subprocess.Popen[bytes]
    announce: Path
    log_path: Path
    port: int = 0
    grpc_port: int | None = None
    answers: list[Answer] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, method: str = ""
    ) -> Answer:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data=data, headers=headers or {}, method=method or None
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    def log(self) -> list[dict[str, Any]]:
        lines = self.log_path.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def is_ready(self) -> bool:
        return self.ask("/v2/health/ready").status == 200

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


Serve = Callable[..., Running]


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[Serve]:
    """Start servers, with their files in a folder; each is stopped at the end."""
    started: list[Running] = []

    def start(
        *arguments: str,
        ready: bool = True,
        port: str = "0",
        announce: Path | None = None,
        **config: Any,
    ) -> Running:
        number = len(started)
        announce = announce or folder / f"announce-{number}.json"
        log_path = folder / f"log-{number}"
        command = [sys.executable, "-m", "prometheus_ai_runtime", "serve", *arguments]
        command += ["--port", port, "--announce", str(announce)]
        if config:
            path = folder / f"config-{number}.json"
            path.write_text(json.dumps(config, default=str))
            command += ["--config", str(path)]
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"}
            )
        running = Running(process, announce, log_path)
        started.append(running)
        wait_until(
            lambda: announce.exists() or process.poll() is not None, "the server announces itself"
        )
        if announce.exists():
            document = json.loads(announce.read_text())
            running.port, running.grpc_port = document["http_port"], document["grpc_port"]
        if ready:
            assert process.poll() is None, log_path.read_text()
            wait_until(
                lambda: process.poll() is not None or running.is_ready(), "the server is ready"
            )
        return running

    try:
        yield start
    finally:
        for running in started:
            if running.process.poll() is None:
                running.process.kill()
                running.process.wait(PATIENCE_S)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers; each is stopped at the end of the test."""
    with servers(tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def iris_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logistic regression on the iris data: input X FP32 [-1, 4]; label, probabilities."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    datasets = pytest.importorskip("sklearn.datasets")
    skl2onnx = pytest.importorskip("skl2onnx")
    inputs, labels = datasets.load_iris(return_X_y=True)
    inputs = inputs.astype(np.float32)
    model = linear_model.LogisticRegression(max_iter=2000).fit(inputs, labels)
    exported = skl2onnx.to_onnx(model, inputs[:1], options={"zipmap": False})
    path = tmp_path_factory.mktemp("models") / "iris.onnx"
    path.write_bytes(exported.SerializeToString())
    return path


@pytest.fixture
def python_model(tmp_path: Path) -> Callable[[str], Path]:
    """Write a python-engine model from its source text."""

    def write(source: str, name: str = "model.py") -> Path:
        path = tmp_path / name
        path.write_text(source)
        return path

    return write


def infer_body(rows: list[list[float]], **rest: Any) -> dict[str, Any]:
    """A v2 request for the iris model."""
    flat = [value for row in rows for value in row]
    tensor = {"name": "X", "datatype": "FP32", "shape": [len(rows), 4], "data": flat}
    return {"inputs": [tensor], **rest}
