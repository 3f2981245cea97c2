"""A real installation in a temporary home: real processes, real Envoy, real environments."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
import onnx
from onnx import TensorProto, helper

from prometheus_ai.client import Client
from prometheus_ai.domain.errors import PlatformError

PAI = str(Path(sys.executable).parent / "pai")
READY_TIMEOUT_S = 60.0
POLICY = """\
# These tests bring no advisory data, without which the default policy starts no container.
version: 1
sections:
  - name: tests
    vulnerabilities: {mode: warn}
    sbom: {mode: warn}
    hardening: {mode: warn}
"""


def wait_for(what: str, is_true: Callable[[], Any], timeout_s: float = READY_TIMEOUT_S) -> Any:
    """Poll until a condition holds; fail with its name when it never does."""
    end = time.monotonic() + timeout_s
    last: object = None
    while time.monotonic() < end:
        try:
            last = is_true()
        except (PlatformError, httpx.HTTPError, OSError) as error:
            last = error
        else:
            if last:
                return last
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {timeout_s:g} s; last seen: {last!r}")


def write_scaling_model(path: Path, factor: float) -> None:
    """Write an ONNX model that multiplies its input by ``factor``: every answer can be checked."""
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "factor"], ["y"])],
        "scaling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor("factor", TensorProto.FLOAT, [1], [factor])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)


@dataclass
class Installation:
    """One home with its processes."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)

    def __post_init__(self) -> None:
        ports = free_ports(2)
        self.home = self.root / "home"
        self.home.mkdir(parents=True, mode=0o700)
        (self.home / "policy.yaml").write_text(POLICY)
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("PAI_")} | {
            "PAI_HOME": str(self.home),
            "PAI_API_PORT": str(ports[0]),
            "PAI_GATEWAY_PORT": str(ports[1]),
        }
        self.gateway_url = f"http://127.0.0.1:{ports[1]}"

    def __enter__(self) -> Self:
        try:
            self.start("gateway")
            self.start("server")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def start(self, name: str) -> None:
        """Start ``pai server`` or ``pai gateway``, and wait until it answers."""
        with (self.root / f"{name}.out").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                [PAI, name], env=self.environ, stdout=out, stderr=out, start_new_session=True
            )
        if name == "server":
            wait_for("the control plane", lambda: self.client().version())
        else:
            wait_for("the gateway", self.gateway_is_live)

    def gateway_is_live(self) -> bool:
        """Whether Envoy answers."""
        return httpx.get(f"{self.gateway_url}/v2/health/live").status_code == 200

    def kill(self, name: str) -> None:
        """SIGKILL one of our processes and reap it."""
        self.forget_client()
        process = self.processes.pop(name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)

    def client(self) -> Client:
        """Return a client with the local administrator's token; there is one until the server is killed."""
        if not self.clients:
            self.clients.append(Client(home=self.home))
        return self.clients[0]

    def forget_client(self) -> None:
        """Close the client: its connections died with the server."""
        while self.clients:
            self.clients.pop().close()

    def pai(self, *words: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command of the platform."""
        return subprocess.run(
            [PAI, *words],
            env=self.environ,
            text=True,
            capture_output=True,
            check=False,
            timeout=timeout_s,
        )

    def spec(self, factor: float = 2.0, **fields: Any) -> dict[str, Any]:
        """Return a spec of a backend named scaling; its model is written below the root."""
        path = self.root / f"times-{factor:g}.onnx"
        write_scaling_model(path, factor)
        return {"name": "scaling", "model": {"path": str(path), "engine": "onnx"}} | fields

    def python_spec(self, name: str, source: str, **fields: Any) -> dict[str, Any]:
        """Return a spec of a backend whose model is this Python source."""
        path = self.root / f"{name}.py"
        path.write_text(source)
        return {"name": name, "model": {"path": str(path), "engine": "python"}} | fields

    def replica_pids(self) -> dict[str, int]:
        """Return the model servers' processes by replica id."""
        detail = self.client().backend("scaling")
        return {replica["id"]: replica["pid"] for replica in detail["replicas"] if replica["pid"]}

    def close(self) -> None:
        """End everything that this home started."""
        self.forget_client()
        self.pai("down")
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(5)

    def said(self) -> str:
        """Return the ends of the processes' logs, for a failed test's report."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text()[-4000:]}"
            for path in sorted(self.root.glob("*.out"))
        )


def free_ports(count: int) -> list[int]:
    """Return ports that are free now."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


@dataclass
class Load:
    """Steady requests whose answers are checked; every failure is kept with its words."""

    url: str
    senders: int = 4
    pause_s: float = 0.01
    headers: dict[str, str] = field(default_factory=dict)
    answered: int = 0
    by_release: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        for number in range(self.senders):
            thread = threading.Thread(target=self._send, args=(number,), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(15)

    def wait_for_more(self, count: int, timeout_s: float = 30.0) -> None:
        """Wait until that many more requests were answered."""
        goal = self.answered + count
        wait_for(f"{count} more answers", lambda: self.answered >= goal, timeout_s)

    def _send(self, number: int) -> None:
        rng = np.random.default_rng(number)
        with httpx.Client(timeout=10, headers=self.headers) as client:
            while not self._stopping.wait(self.pause_s):
                self._ask(client, [float(v) for v in rng.integers(0, 100, 2)])

    def _ask(self, client: httpx.Client, row: list[float]) -> None:
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": row}
        try:
            reply = client.post(self.url, json={"inputs": [tensor]})
        except httpx.HTTPError as error:
            return self._count("", repr(error))
        if reply.status_code != 200:
            return self._count("", f"{reply.status_code}: {reply.text[:200]}")
        answer = json.loads(reply.content)["outputs"][0]["data"]
        release = reply.headers.get("x-pai-release", "")
        ratios = {answer[i] / row[i] for i in range(2) if row[i]}
        return self._count(release, "" if len(ratios) <= 1 else f"wrong answer {answer} to {row}")

    def _count(self, release: str, failure: str) -> None:
        with self._lock:
            if failure:
                self.failures.append(failure)
            else:
                self.answered += 1
                self.by_release[release] = self.by_release.get(release, 0) + 1
