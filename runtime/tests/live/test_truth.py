"""Health, start-up, draining and exit codes of the real process."""

import json
import signal
import socket
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from runtime.tests.conftest import infer_body, wait_until

GATED = '''
import time
from pathlib import Path


class Gated:
    """Does nothing until its files are there."""

    signature = {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1]}],
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [-1]}],
    }

    def load(self, folder):
        self.folder = folder
        self.wait_for("load")

    def predict(self, batch):
        if (batch["x"] == 666).any():
            self.wait_for("predict")
        return {"y": batch["x"] * 2}

    def wait_for(self, name):
        while not (self.folder / name).exists():
            time.sleep(0.01)
'''


def body_of(*values: float) -> dict[str, Any]:
    return {
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [len(values)], "data": list(values)}]
    }


@pytest.fixture
def gated(python_model: Any, tmp_path: Path) -> Path:
    (tmp_path / "load").touch()
    path: Path = python_model(GATED)
    return path


def test_health_answers_before_the_model_is_there(serve: Any, gated: Path, tmp_path: Path) -> None:
    (tmp_path / "load").unlink()
    running = serve(f"gated={gated}", ready=False)
    wait_until(lambda: running.ask("/v2/health/state").json["phase"] == "loading", "it is loading")
    state = running.ask("/v2/health/state").json
    assert (state["live"], state["ready"]) == (True, False)
    assert running.ask("/v2/health/live").status == 200
    assert running.ask("/v2/health/ready").status == 503
    assert running.ask("/v2/models/gated/ready").status == 503
    answer = running.ask("/v2/models/gated/infer", body_of(1.0))
    assert answer.status == 503
    assert "being loaded" in answer.json["error"]
    (tmp_path / "load").touch()
    wait_until(running.is_ready, "it is ready")
    state = running.ask("/v2/health/state").json
    assert state["phase"] == "ready"
    assert set(state["phases_s"]) == {"import", "load", "warm_up"}


def test_a_wedged_engine_is_not_live_although_the_socket_answers(
    serve: Any, gated: Path, tmp_path: Path
) -> None:
    running = serve(f"gated={gated}", "--config", config_file(tmp_path, progress_s=0.3))
    with ThreadPoolExecutor() as pool:
        stuck = pool.submit(running.ask, "/v2/models/gated/infer", body_of(666.0))
        wait_until(lambda: running.ask("/v2/health/live").status == 503, "it is not live")
        state = running.ask("/v2/health/state").json
        assert state["progress_age_s"] > 0.3
        assert state["requests_active"] == 1
        (tmp_path / "predict").touch()
        assert stuck.result().json["outputs"][0]["data"] == [1332.0]
    assert running.ask("/v2/health/live").status == 200


def test_an_engine_that_hangs_the_event_loop_is_not_live_either(
    serve: Any, gated: Path, tmp_path: Path
) -> None:
    batching = {"inline_us_max": 1e6}
    config = {"name": "gated", "version": "1", "path": gated, "batching": batching}
    running = serve(**config, timeouts={"progress_s": 0.3})
    with ThreadPoolExecutor() as pool:
        stuck = pool.submit(running.ask, "/v2/models/gated/infer", body_of(666.0))
        wait_until(lambda: probe(running) == 503, "it is not live")
        (tmp_path / "predict").touch()
        assert stuck.result().json["outputs"][0]["data"] == [1332.0]
    wait_until(lambda: running.ask("/v2/health/live").status == 200, "it is live again")
    assert "loop_stuck" in [line["event"] for line in running.log()]


def probe(running: Any) -> int:
    """Ask like a prober: with a bound, and again when the loop hung with the question in hand."""
    try:
        with urllib.request.urlopen(f"{running.url}/v2/health/live", timeout=1) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (TimeoutError, urllib.error.URLError):
        return 0


def config_file(tmp_path: Path, **timeouts: float) -> str:
    """A configuration of no models of its own, beside those on the command line."""
    path = tmp_path / "timeouts.json"
    path.write_text(json.dumps({"models": [], "timeouts": timeouts}))
    return str(path)


def test_what_was_accepted_is_answered_before_the_process_ends(
    serve: Any, gated: Path, tmp_path: Path
) -> None:
    running = serve(f"gated={gated}")
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(running.ask, "/v2/models/gated/infer", body_of(666.0))]
        calls += [pool.submit(running.ask, "/v2/models/gated/infer", body_of(n)) for n in range(7)]
        wait_until(
            lambda: running.ask("/v2/health/state").json["requests_active"] >= 1, "it is busy"
        )
        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not running.is_ready(), "it is not ready")
        (tmp_path / "predict").touch()
        answers = [call.result() for call in calls]
    assert [a.status for a in answers] == [200] * 8
    assert [a.json["outputs"][0]["data"] for a in answers[1:]] == [[2.0 * n] for n in range(7)]
    assert running.process.wait(30) == 0


def test_a_second_signal_ends_at_once(serve: Any, gated: Path) -> None:
    running = serve(f"gated={gated}")
    caller = threading.Thread(target=ignore_the_end, args=(running,))
    caller.start()
    wait_until(lambda: running.ask("/v2/health/state").json["requests_active"] == 1, "it is busy")
    running.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "draining" in events(running), "it drains")
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(10) == 0
    caller.join(10)


def test_the_end_of_the_drain_time_ends_it(serve: Any, gated: Path, tmp_path: Path) -> None:
    running = serve(f"gated={gated}", "--config", config_file(tmp_path, drain_s=0.2))
    caller = threading.Thread(target=ignore_the_end, args=(running,))
    caller.start()
    wait_until(lambda: running.ask("/v2/health/state").json["requests_active"] == 1, "it is busy")
    assert running.stop() == 0
    caller.join(10)
    assert running.log()[-1]["requests_lost"] == 1


def ignore_the_end(running: Any) -> None:
    try:
        running.ask("/v2/models/gated/infer", body_of(666.0))
    except (urllib.error.URLError, ConnectionError, OSError):
        return


def events(running: Any) -> list[str]:
    return [line["event"] for line in running.log()]


def test_every_response_carries_its_context(serve: Any, iris_onnx: Path) -> None:
    running = serve(name="iris", version="v3", path=iris_onnx)
    given = {"x-request-id": "mine", "content-type": "application/json"}
    answer = running.ask("/v2/models/iris/infer", infer_body([[5.1, 3.5, 1.4, 0.2]] * 3), given)
    headers = answer.headers
    assert headers["x-pai-release"] == "iris/v3"
    assert headers["x-request-id"] == "mine"
    assert headers["x-pai-batch-rows"] == "3"
    for name in ("x-pai-queue-us", "x-pai-compute-us", "x-pai-throttled-us"):
        assert headers[name].isdigit()
    made = running.ask("/v2/models/iris/versions/v3/infer", infer_body([[5.1, 3.5, 1.4, 0.2]]))
    assert made.headers["x-request-id"]
    assert made.json["model_version"] == "v3"


@pytest.mark.parametrize(
    ("arguments", "config", "code", "words"),
    [
        (["iris"], {}, 64, "NAME=PATH"),
        (
            [],
            {"name": "a", "version": "1", "path": "/x", "colour": 1},
            64,
            "unknown field `colour`",
        ),
        (
            [],
            {"name": "a", "version": "1", "path": "/x", "batching": {"rows": 1}},
            64,
            "batching.rows",
        ),
        (["a=/does/not/exist.onnx"], {}, 65, "does not exist"),
        (["--nonsense"], {}, 64, "--nonsense"),
    ],
)
def test_a_start_that_fails_says_why_on_its_last_line(
    serve: Any, arguments: list[str], config: dict[str, Any], code: int, words: str
) -> None:
    running = serve(*arguments, ready=False, **config)
    assert running.process.wait(30) == code
    last = running.log()[-1]
    assert (last["event"], last["code"]) == ("start_failed", code)
    assert words in last["error"]


def test_a_signature_that_disagrees_is_a_load_failure(serve: Any, iris_onnx: Path) -> None:
    signature = {
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 5]}],
        "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1]}],
    }
    config = {"name": "iris", "version": "1", "path": iris_onnx, "signature": signature}
    running = serve(ready=False, **config)
    assert running.process.wait(30) == 65
    assert "X" in running.log()[-1]["error"]


def test_a_taken_port_has_its_own_exit_code(serve: Any, iris_onnx: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        running = serve(f"iris={iris_onnx}", port=port, ready=False)
        assert running.process.wait(30) == 73
    assert port in running.log()[-1]["error"]


def test_an_announce_file_that_cannot_be_written_is_said(serve: Any, iris_onnx: Path) -> None:
    absent = iris_onnx.parent / "absent" / "announce.json"
    running = serve(f"iris={iris_onnx}", announce=absent, ready=False)
    assert running.process.wait(30) == 73
