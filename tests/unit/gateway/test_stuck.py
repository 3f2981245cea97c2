"""A gateway process that is there and does not answer is told from one that is gone, and soon."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from prometheus_ai.adapters.gateways.envoy.client import GatewayClient
from prometheus_ai.domain.errors import Unavailable
from prometheus_ai.domain.route import RouteTable

TABLE = RouteTable(generation=1, backends=())
BOUND_S = 20.0


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as made:
        made.bind(str(tmp_path / "gateway.sock"))
        made.listen(16)
        yield made


def test_a_stopped_process_is_named_as_such(listener: socket.socket, tmp_path: Path) -> None:
    client = GatewayClient(tmp_path / "gateway.sock", "http://127.0.0.1:1")
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(Unavailable, match="is there and does not answer") as caught:
            client.publish(TABLE)
        assert time.monotonic() - started < BOUND_S
        assert "pai down" in caught.value.hint


def test_a_slow_answer_is_waited_for(listener: socket.socket, tmp_path: Path) -> None:
    receipt = {"generation": 1, "accepted": True, "detail": "", "took_s": 3.0}
    answered = threading.Event()

    def serve() -> None:
        first, _ = listener.accept()
        with closing(first):
            first.recv(65536)
            # The knock comes on a second connection while the first is still at work.
            second, _ = listener.accept()
            with closing(second):
                second.recv(65536)
                _answer(second, {})
            _answer(first, receipt)
            answered.wait(BOUND_S)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    client = GatewayClient(tmp_path / "gateway.sock", "http://127.0.0.1:1")
    assert client.publish(TABLE).accepted
    answered.set()
    thread.join(BOUND_S)


def _answer(connection: socket.socket, value: object) -> None:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    connection.sendall(head + body)
