"""Start a server, wait until both models answer, check all its answers, and end it for certain."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.peers.forms import error
from bench.peers.roster import HOME, MODELS, Peer

READY_S = 120.0
TOLERANCE = 1e-4
MODEL_NAMES = ("tabular", "minilm")
_AT_ONCE = 16
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that answers."""

    peer: Peer
    port: int
    grpc_port: int
    pid: int

    def members(self) -> list[int]:
        """Return the server's processes: its session's, and what descends from it."""
        found: list[int] = []
        parents: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    parents[int(entry.name)] = int(fields[1])
                    if int(fields[3]) == self.pid:
                        found.append(int(entry.name))
        grown = True
        while grown:
            more = [p for p, parent in parents.items() if parent in found and p not in found]
            found += more
            grown = bool(more)
        return found

    def ask(self, model: str, question: Any) -> dict[str, Any]:
        """Ask one question on a connection of its own.

        Raises:
            RuntimeError: the answer is no 200.
        """
        body = self.peer.form.body(model, question)
        return self.peer.form.read(model, self.post(self.peer.path(model), body))

    def post(self, path: str, body: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> bytes:
        """Post once; raises RuntimeError unless the answer is a 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise RuntimeError(f"{self.peer.name} answered {response.status}: {text[:300]!r}")
            return text

    def largest_error(self) -> float:
        """Return the largest difference from the models' own answers over all questions.

        Raises:
            RuntimeError: an answer is wrong.
        """
        largest = 0.0
        asked = [(m, i, q) for m in MODEL_NAMES for i, q in enumerate(questions()[m])]

        def check(one: tuple[str, int, Any]) -> float:
            model, index, question = one
            return error(self.ask(model, question), expected(index))

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            largest = max(pool.map(check, asked))
        if largest > TOLERANCE:
            raise RuntimeError(f"{self.peer.name} answered wrongly: off by {largest}")
        return largest


@cache
def questions() -> dict[str, list[Any]]:
    """Return what is asked of each model."""
    found: dict[str, list[Any]] = json.loads((MODELS / "questions.json").read_text())
    return found


@cache
def _answers() -> dict[str, Any]:
    with np.load(MODELS / "answers.npz") as file:
        return dict(file)


def expected(index: int) -> dict[str, Any]:
    """Return both models' own answers to the question of this number."""
    return {name: values[index] for name, values in _answers().items()}


@contextlib.contextmanager
def running(peer: Peer, before: Sequence[str] = ()) -> Iterator[Running]:
    """Yield the server once both models answer; end it and all that it started.

    ``before`` is put in front of its command.

    Raises:
        RuntimeError: it ended, or did not answer in time; its output is kept in a file.
    """
    port, grpc_port = _free_port(), _free_port()
    log = HOME / f"{peer.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*before, *peer.command(port, grpc_port)], env=peer.environ(), cwd=HOME, stdout=output,
            stderr=output, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    server = Running(peer=peer, port=port, grpc_port=grpc_port, pid=process.pid)
    try:
        _wait(server, process, log)
        yield server
    finally:
        _end(server, process)


def _wait(server: Running, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_S
    for model in MODEL_NAMES:
        while True:
            with contextlib.suppress(OSError, RuntimeError, http.client.HTTPException):
                server.ask(model, questions()[model][0])
                break
            if process.poll() is not None:
                raise RuntimeError(f"{server.peer.name} ended with {process.returncode}; see {log}")
            if time.monotonic() > end:
                raise RuntimeError(f"{server.peer.name} was not ready in {READY_S:g} s; see {log}")
            time.sleep(0.005)


def _end(server: Running, process: subprocess.Popen[bytes]) -> None:
    members = server.members()
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    for pid in {*members, *server.members()}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
