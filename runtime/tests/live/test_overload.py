"""Too much work, too late, or no longer wanted: on a real server."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from runtime.tests.conftest import wait_until

HELD = '''
import time
from pathlib import Path


class Held:
    """Answers while its gate is open; counts the rows it was given."""

    signature = {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1]}],
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [-1]}],
    }

    def load(self, folder):
        self.folder = folder

    def predict(self, batch):
        while (self.folder / "closed").exists():
            time.sleep(0.01)
        with (self.folder / "seen").open("a") as file:
            file.writelines(f"{value}\\n" for value in batch["x"])
        return {"y": batch["x"] * 2}
'''


def body_of(value: float, **parameters: Any) -> dict[str, Any]:
    tensor = {"name": "x", "datatype": "FP64", "shape": [1], "data": [value]}
    return {"inputs": [tensor], "parameters": parameters}


@pytest.fixture
def held(serve: Any, python_model: Any, tmp_path: Path) -> Any:
    model = {
        "name": "held",
        "version": "1",
        "path": python_model(HELD),
        "batching": {"queue_rows_max": 4, "rows_max": 1},
    }
    running = serve(**model)
    (tmp_path / "closed").touch()
    (tmp_path / "seen").unlink()
    return running


def seen(tmp_path: Path) -> list[float]:
    return [float(line) for line in (tmp_path / "seen").read_text().split()]


def ask(running: Any, value: float, headers: dict[str, str] | None = None, **more: Any) -> Any:
    return running.ask("/v2/models/held/infer", body_of(value, **more), headers)


def queued(running: Any, rows: int) -> bool:
    state = running.ask("/v2/health/state").json
    return bool(state["rows_queued"] == rows and state["requests_active"] == rows + 1)


def test_beyond_the_queue_limit_clients_are_told_when_to_return(held: Any, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = [pool.submit(ask, held, 1.0)]
        wait_until(lambda: queued(held, 0), "the engine is busy")
        taken += [pool.submit(ask, held, n) for n in (2.0, 3.0, 4.0, 5.0)]
        wait_until(lambda: queued(held, 4), "the queue is full")
        refused = ask(held, 6.0)
        (tmp_path / "closed").unlink()
        assert [call.result().status for call in taken] == [200] * 5
    assert refused.status == 429
    assert refused.headers["x-pai-release"].startswith("held/")
    assert int(refused.headers["retry-after"]) >= 1
    assert "4 rows are queued" in refused.json["error"]
    counts = held.ask("/metrics.json").json["models"][0]["requests"]
    assert (counts["ok"], counts["rejected"]) == (5, 1)


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ({"x-pai-timeout-ms": "200"}, {}),
        ({"x-envoy-expected-rq-timeout-ms": "200"}, {}),
        ({}, {"timeout": 200_000}),
    ],
)
def test_work_past_its_deadline_is_answered_and_never_started(
    held: Any, tmp_path: Path, headers: dict[str, str], parameters: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, held, 1.0)
        wait_until(lambda: queued(held, 0), "the engine is busy")
        late = ask(held, 2.0, headers, **parameters)
        (tmp_path / "closed").unlink()
        assert first.result().status == 200
    assert late.status == 504
    assert late.headers["x-pai-release"].startswith("held/")
    assert ask(held, 3.0).status == 200
    assert seen(tmp_path) == [1.0, 3.0]


def test_what_a_gone_client_had_queued_is_never_started(held: Any, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, held, 1.0)
        wait_until(lambda: queued(held, 0), "the engine is busy")
        body = json.dumps(body_of(2.0)).encode()
        head = b"POST /v2/models/held/infer HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
        with socket.create_connection(("127.0.0.1", held.port), timeout=30) as gone:
            gone.sendall((head % len(body) + body) * 2)
            wait_until(lambda: queued(held, 2), "both are queued")
        wait_until(lambda: queued(held, 0), "they are given up")
        (tmp_path / "closed").unlink()
        assert first.result().status == 200
    assert seen(tmp_path) == [1.0]
    assert held.ask("/metrics.json").json["models"][0]["requests"]["cancelled"] == 2


def test_the_urgent_go_first(held: Any, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(ask, held, 1.0)]
        wait_until(lambda: queued(held, 0), "the engine is busy")
        for n, priority in ((2.0, "9"), (3.0, "5"), (4.0, "0")):
            calls.append(pool.submit(ask, held, n, {"x-pai-priority": priority}))
            waiting = len(calls) - 1
            wait_until(lambda n=waiting: queued(held, n), "it is queued")
        (tmp_path / "closed").unlink()
        assert [call.result().status for call in calls] == [200] * 4
    assert seen(tmp_path) == [1.0, 4.0, 3.0, 2.0]
