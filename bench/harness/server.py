"""The model server of this checkout, started for a question and ended for certain."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_S = 60.0
POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class ModelServer:
    """A server that listens."""

    pid: int
    port: int

    def resident_mib(self) -> float:
        """Return the resident memory of the server and its workers."""
        return sum(_resident_mib(pid) for pid in (self.pid, *workers(self.pid)))


@contextlib.contextmanager
def model_server(folder: Path, *options: str) -> Iterator[ModelServer]:
    """Run ``pai-runtime serve`` with these options while the block runs.

    Raises:
        RuntimeError: it ended, or took too long to be ready.
    """
    announced = folder / "announce.json"
    command = [sys.executable, "-m", "prometheus_ai_runtime", "serve", "--port", "0"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--announce", str(announced), *options], stdout=log, stderr=log
        )
    try:
        until = time.monotonic() + START_S
        while not announced.exists() or '"ready"' not in (folder / "server.log").read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((folder / "server.log").read_text()[-2000:])
            time.sleep(POLL_S)
        yield ModelServer(pid=process.pid, port=json.loads(announced.read_text())["http_port"])
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def workers(pid: int) -> list[int]:
    """Return the processes that a server started."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _resident_mib(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0
