"""Asking a Prometheus: against a stand-in for every way to go wrong, and against the real one."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from prometheus_ai.adapters.metrics.prometheus import PrometheusQuery
from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.domain.evidence import Sample
from tests.contract.answering import answering
from tests.e2e.installation import free_ports, wait_for


def ask(url: str, query: str = "up") -> Sample:
    database = PrometheusQuery(url)
    try:
        return database.ask(query)
    finally:
        database.close()


def vector(*values: list[Any]) -> bytes:
    result = [{"metric": {}, "value": value} for value in values]
    data = {"resultType": "vector", "result": result}
    return json.dumps({"status": "success", "data": data}).encode()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([["now", "1.5"]], Sample(value=1.5)),
        ([], Sample(problem="the query gives no series")),
        ([["now", "1"], ["now", "2"]], Sample(problem="the query gives 2 series; aggregate them to one")),
        ([["now", "NaN"]], Sample(problem="the query gives NaN")),
        ([["now", "+Inf"]], Sample(problem="the query gives +Inf")),
    ],
)  # fmt: skip
def test_only_one_finite_fresh_number_is_a_value(values: Any, expected: Sample) -> None:
    dated = [[time.time(), text] for _, text in values]
    with answering(200, vector(*dated)) as port:
        assert ask(f"http://127.0.0.1:{port}") == expected


def test_an_old_value_is_none() -> None:
    with answering(200, vector([time.time() - 300, "1"])) as port:
        assert ask(f"http://127.0.0.1:{port}").problem == "its value is 300 s old"


def test_a_matrix_is_no_number() -> None:
    body = {"status": "success", "data": {"resultType": "matrix", "result": []}}
    with answering(200, json.dumps(body).encode()) as port:
        assert "matrix" in ask(f"http://127.0.0.1:{port}").problem


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (503, {"status": "error", "error": "overloaded"}, "overloaded"),
        (200, {"hello": "world"}, "not as Prometheus does"),
        (200, [], "not as Prometheus does"),
    ],
)
def test_what_is_no_prometheus_is_said_to_be_none(status: int, body: Any, words: str) -> None:
    with (
        answering(status, json.dumps(body).encode()) as port,
        pytest.raises(Unavailable, match=words),
    ):
        ask(f"http://127.0.0.1:{port}")


def test_an_answer_without_end_is_refused() -> None:
    with answering(200, b"x" * 2_000_000) as port, pytest.raises(Unavailable, match="more than"):
        ask(f"http://127.0.0.1:{port}")


def test_nobody_there_is_unavailable() -> None:
    (port,) = free_ports(1)
    with pytest.raises(Unavailable, match="cannot be asked"):
        ask(f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a real Prometheus that scrapes itself."""
    program = shutil.which("prometheus")
    assert program is not None
    root: Path = tmp_path_factory.mktemp("prometheus")
    (port,) = free_ports(1)
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {"job_name": "self", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        ],
    }
    (root / "config.yml").write_text(json.dumps(config))
    with (root / "out").open("wb") as out:
        process = subprocess.Popen(
            [program, f"--config.file={root}/config.yml", f"--storage.tsdb.path={root}/data",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=out, stderr=out,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for("prometheus", lambda: httpx.get(f"{url}/-/ready").status_code == 200)
        yield url
    finally:
        process.terminate()
        process.wait(15)


@pytest.mark.requires("prometheus")
def test_a_real_prometheus_answers(prometheus: str) -> None:
    wait_for("a scrape", lambda: ask(prometheus, "sum(up)").value == 1.0)
    assert ask(prometheus, "scalar(vector(2)) + 1").value == 3.0
    assert ask(prometheus, "vector(0) / 0").problem == "the query gives NaN"
    assert ask(prometheus, "nothing_of_this_name").problem == "the query gives no series"
    assert "series" in ask(prometheus, "{job='self'}").problem
    with pytest.raises(InvalidInput, match="parse error"):
        ask(prometheus, "sum(")
