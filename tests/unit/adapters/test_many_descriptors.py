"""Waits work in a process that holds more descriptors than ``select`` can name."""

import http.server
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prometheus_ai.adapters.gateways.envoy.process import EnvoyProcess
from prometheus_ai.client.wire import Wire
from prometheus_ai.compose.ending import end_envoy
from prometheus_ai.compose.presence import envoys
from prometheus_ai.compose.settings import Settings

SELECT_MAX = 1024
SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)", "bootstrap.json")


class Counting(http.server.ThreadingHTTPServer):
    """Counts connections."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Keeping)
        self.connections: list[object] = []


@pytest.fixture
def crowded() -> Iterator[None]:
    """Hold so many descriptors that every new one has a number that ``select`` refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * SELECT_MAX)), hard))
    held = [os.open(os.devnull, os.O_RDONLY)]
    while held[-1] < SELECT_MAX:
        held.append(os.dup(held[0]))
    yield
    for one in held:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run what looks like the Envoy of this home."""
    folder = Settings(home=tmp_path).gateway
    folder.mkdir()
    with subprocess.Popen(SLEEPER, cwd=folder) as process:
        try:
            # The kernel shows a new program's command a moment after the program was started.
            until = time.monotonic() + 10
            while process.pid not in envoys(folder):
                assert time.monotonic() < until
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


class Keeping(http.server.BaseHTTPRequestHandler):
    """Answers with an empty object, and keeps the connection."""

    protocol_version = "HTTP/1.1"
    server: "Counting"

    def setup(self) -> None:
        super().setup()
        self.server.connections.append(self.client_address)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def test_a_kept_connection_is_used_again(crowded: None) -> None:
    with Counting() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        wire = Wire(f"http://127.0.0.1:{server.server_port}", {})
        try:
            answers = [wire.ask("GET", "/").json() for _ in range(3)]
            assert answers == [{}, {}, {}]
            assert len(server.connections) == 1
        finally:
            wire.close()
            server.shutdown()
            thread.join()


def test_an_envoy_is_watched_and_ended(crowded: None, sleeper: subprocess.Popen[bytes]) -> None:
    envoy = EnvoyProcess.adopt(sleeper.pid)
    assert envoy is not None
    reading, writing = os.pipe()
    try:
        assert not envoy.wait_for_end(reading, 0.0)
        envoy.end(5.0)
        assert envoy.wait_for_end(reading, 5.0)
    finally:
        os.close(reading)
        os.close(writing)
        envoy.release()
    assert sleeper.wait(5) != 0


def test_an_envoy_left_behind_is_ended(
    crowded: None, sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert end_envoy(Settings(home=tmp_path)) == 1
    assert sleeper.wait(5) != 0
