"""Several models in one server: run-time loading, isolation, memory."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from runtime.tests.conftest import PATIENCE_S, infer_body, wait_until

TROUBLED = '''
import os
import time

import numpy as np


class Troubled:
    """Dies, hangs or raises on request."""

    signature = {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1]}],
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [-1]}],
    }

    def load(self, folder):
        self.weights = np.ones(25_000_000)

    def predict(self, batch):
        for value in batch["x"]:
            if value == -1:
                os.abort()
            while value == -2:
                time.sleep(1)
            if value == -3:
                raise ValueError("minus three")
        return {"y": batch["x"] * 2}
'''


def body_of(*values: float) -> dict[str, Any]:
    tensor = {"name": "x", "datatype": "FP64", "shape": [len(values)], "data": list(values)}
    return {"inputs": [tensor]}


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def children(pid: int) -> list[int]:
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] + [
        int(c)
        for task in Path(f"/proc/{pid}/task").iterdir()
        if task.name != str(pid)
        for c in (task / "children").read_text().split()
    ]


@pytest.fixture
def pair(serve: Any, python_model: Any, iris_onnx: Path) -> Any:
    troubled = {
        "name": "troubled",
        "version": "1",
        "path": python_model(TROUBLED),
        "isolation": "process",
        "batching": {"rows_max": 8},
    }
    iris = {"name": "iris", "version": "1", "path": iris_onnx}
    return serve(models=[troubled, iris], timeouts={"progress_s": 1.0})


def ask(running: Any, *values: float) -> Any:
    return running.ask("/v2/models/troubled/infer", body_of(*values))


def test_a_crash_fails_its_request_and_nothing_else(pair: Any) -> None:
    assert ask(pair, 1.0).json["outputs"][0]["data"] == [2.0]
    first = children(pair.process.pid)
    crashed = ask(pair, -1.0)
    assert crashed.status == 500
    assert "SIGABRT" in crashed.json["error"]
    assert pair.ask("/v2/models/iris/infer", infer_body([[5.1, 3.5, 1.4, 0.2]])).status == 200
    assert ask(pair, 2.0).json["outputs"][0]["data"] == [4.0]
    assert children(pair.process.pid) != first


def test_batch_mates_of_a_crash_are_answered(pair: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        values = [1.0, 2.0, -1.0, 3.0, -3.0, 4.0]
        answers = list(pool.map(lambda v: ask(pair, v), values))
    assert [a.status for a in answers] == [200, 200, 500, 200, 500, 200]
    for value, answer in zip(values, answers, strict=True):
        if value > 0:
            assert answer.json["outputs"][0]["data"] == [2 * value]
    assert "minus three" in answers[4].json["error"]


def test_a_hang_is_ended_and_the_server_stays_live(pair: Any) -> None:
    hung = ask(pair, -2.0)
    assert hung.status == 500
    assert "SIGKILL" in hung.json["error"]
    assert "engine_killed" in [line["event"] for line in pair.log()]
    wait_until(lambda: pair.ask("/v2/health/live").status == 200, "it is live")
    assert ask(pair, 5.0).json["outputs"][0]["data"] == [10.0]


def test_unloading_returns_the_memory_and_ends_the_process(pair: Any) -> None:
    (worker,) = children(pair.process.pid)
    assert resident_mib(worker) > 190
    server = resident_mib(pair.process.pid)
    assert pair.ask("/v2/repository/models/troubled/unload", {}).status == 200
    assert not Path(f"/proc/{worker}").exists()
    assert resident_mib(pair.process.pid) < server + 20
    refused = ask(pair, 1.0)
    assert refused.status == 503
    assert "unloaded" in refused.json["error"]
    assert pair.ask("/v2/health/ready").status == 200
    assert pair.ask("/v2/repository/models/troubled/load", {}).status == 200
    assert ask(pair, 1.0).json["outputs"][0]["data"] == [2.0]


def test_the_worker_ends_with_a_killed_server(pair: Any) -> None:
    (worker,) = children(pair.process.pid)
    pair.process.kill()
    pair.process.wait(30)
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the worker is gone")


def test_a_reload_serves_the_new_file_without_a_gap(
    serve: Any, python_model: Any, tmp_path: Path
) -> None:
    path = python_model(TROUBLED.replace("25_000_000", "1"))
    running = serve(f"troubled={path}")
    assert ask(running, 1.0).json["outputs"][0]["data"] == [2.0]
    path.write_text(path.read_text().replace("* 2", "* 3"))
    with ThreadPoolExecutor(4) as pool:
        load = pool.submit(running.ask, "/v2/repository/models/troubled/load", {})
        statuses = []
        while not load.done():
            statuses.append(ask(running, 1.0).status)
        assert load.result().status == 200
    assert set(statuses) <= {200}
    assert ask(running, 1.0).json["outputs"][0]["data"] == [3.0]
    path.write_text("this is not Python")
    failed = running.ask("/v2/repository/models/troubled/load", {})
    assert failed.status == 400
    assert ask(running, 1.0).json["outputs"][0]["data"] == [3.0]
    assert running.is_ready()


def test_the_least_recently_used_model_makes_room_and_comes_back(
    serve: Any, python_model: Any
) -> None:
    path = python_model(TROUBLED.replace("25_000_000", "1"))
    size = 100 * 2**20

    def model(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "version": "1", "path": path, "memory_bytes": size, **more}

    running = serve(
        models=[model("pinned", pinned=True), model("b"), model("c")],
        memory_bytes_max=2 * size + 1,
    )

    def states() -> dict[str, str]:
        return {m["name"]: m["state"] for m in running.ask("/v2/health/state").json["models"]}

    def use(name: str) -> int:
        status: int = running.ask(f"/v2/models/{name}/infer", body_of(1.0)).status
        return status

    wait_until(lambda: sorted(states().values()) == ["evicted", "ready", "ready"], "one made room")
    assert states()["pinned"] == "ready"
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(use, ["b"] * 6)) == {200}
    assert states() == {"pinned": "ready", "b": "ready", "c": "evicted"}
    assert use("c") == 200
    assert states() == {"pinned": "ready", "b": "evicted", "c": "ready"}
    assert running.is_ready()


def test_clients_load_only_from_the_repository_folder(
    serve: Any, iris_onnx: Path, tmp_path: Path
) -> None:
    config = {"path": iris_onnx.name}
    closed = serve(f"iris={iris_onnx}")
    load = "/v2/repository/models/second/load"
    refused = closed.ask(load, {"parameters": {"config": config}})
    assert refused.status == 400
    assert "repository" in refused.json["error"]
    first = {"name": "iris", "version": "1", "path": iris_onnx}
    opened = serve(models=[first], repository=iris_onnx.parent)
    assert opened.ask(load, {"parameters": {"config": config}}).status == 200
    answer = opened.ask("/v2/models/second/infer", infer_body([[5.1, 3.5, 1.4, 0.2]]))
    assert answer.json["outputs"][0]["data"] == [0]
    outside = opened.ask(load, {"parameters": {"config": {"path": "../x.onnx"}}})
    assert outside.status == 400
    assert "inside" in outside.json["error"]
    pickled = opened.ask(load, {"parameters": {"config": {**config, "allow_pickle": True}}})
    assert pickled.status == 400
    sent = opened.ask(load, {"parameters": {"config": config, "file:1/model.onnx": "QUJD"}})
    assert sent.status == 400
    assert "model files cannot be sent" in sent.json["error"]


def test_what_clients_load_later_takes_the_server_from_nobody(
    serve: Any, python_model: Any, tmp_path: Path
) -> None:
    held = tmp_path / "held"
    slow = """
import time
from pathlib import Path


class Slow:
    def load(self, folder):
        (folder / "loading").touch()
        while (folder / "held").exists():
            time.sleep(0.01)

    def predict(self, x: list[int]) -> list[int]:
        return x
"""
    held.touch()
    first = {"name": "first", "version": "1", "path": python_model(slow.replace("held", "no"))}
    python_model(slow, "slow.py")
    running = serve(models=[first], repository=tmp_path)
    (tmp_path / "loading").unlink()
    bad = running.ask(
        "/v2/repository/models/bad/load", {"parameters": {"config": {"path": "absent.onnx"}}}
    )
    assert bad.status == 400
    assert running.is_ready()
    body = {"parameters": {"config": {"path": "slow.py"}}}
    answers: list[Any] = []
    loading = Thread(
        target=lambda: answers.append(running.ask("/v2/repository/models/slow/load", body))
    )
    loading.start()
    wait_until((tmp_path / "loading").exists, "the second model is being loaded")
    assert running.is_ready()
    assert running.ask("/v2/models/slow/ready").status == 503
    held.unlink()
    loading.join(PATIENCE_S)
    assert answers[0].status == 200
    assert running.ask("/v2/models/slow/ready").status == 200


def test_versions_are_asked_for_by_their_own_paths(serve: Any, python_model: Any) -> None:
    small = TROUBLED.replace("25_000_000", "1")
    first = python_model(small, "first.py")
    second = python_model(small.replace("* 2", "* 3"), "second.py")
    running = serve(f"troubled:v1={first}", f"troubled:v2={second}")

    def by(version: str) -> Any:
        path = f"/v2/models/troubled/versions/{version}/infer"
        return running.ask(path, body_of(1.0)).json

    assert by("v1")["outputs"][0]["data"] == [2.0]
    assert by("v2")["outputs"][0]["data"] == [3.0]
    assert by("v1")["model_version"] == "v1"
    assert running.ask("/v2/models/troubled").json["versions"] == ["v1", "v2"]
    assert "has no version" in by("v3")["error"]
    assert running.ask("/v2/models/troubled/versions/v2/ready").status == 200
