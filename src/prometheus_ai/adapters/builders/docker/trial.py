"""Trying images on an engine, cut off from every network."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_ai.adapters.docker_engine import DockerEngine
from prometheus_ai.domain.errors import NotFound, PlatformError
from prometheus_ai.domain.image import (
    HTTP_PORT,
    LABEL_HOME,
    LABEL_MODEL,
    LABEL_WEIGHTS,
    MODEL_FOLDER,
    model_volume,
)
from prometheus_ai.ports.image_files import Tried

RUN_TIMEOUT_S = 300.0
LOAD_TIMEOUT_S = 1800.0
OUTPUT_BYTES_MAX = 4 * 2**20
CHUNK_BYTES = 1 << 20
TIMED_OUT = 124
PIDS_MAX = 1024

# Starts the model server, waits until it is ready, and sends zeros in the shape that its model asks for.
_SERVE = f"""
import json, subprocess, sys, time, urllib.request as web
server = subprocess.Popen(sys.argv[1:])
base, until = "http://127.0.0.1:{HTTP_PORT}", time.monotonic() + 200
def end(code, words):
    server.kill()
    print(words, flush=True)
    sys.exit(code)
while True:
    try:
        web.urlopen(base + "/v2/health/ready", timeout=5)
        break
    except Exception as error:
        if server.poll() is not None:
            end(1, f"the model server ended with code {{server.returncode}}")
        if time.monotonic() > until:
            end(1, f"the model server did not turn ready: {{error}}")
        time.sleep(0.1)
name = json.load(open("/opt/pai/config.json"))["name"]
model = json.load(web.urlopen(f"{{base}}/v2/models/{{name}}", timeout=10))
if not model.get("inputs"):
    end(0, "ready after its own warm-up; the model describes no inputs to ask with")
inputs = []
for one in model["inputs"]:
    shape = [abs(size) or 1 for size in one["shape"]]
    count = 1
    for size in shape:
        count *= size
    zero = {{"BYTES": "", "BOOL": False}}.get(one["datatype"], 0)
    inputs.append({{"name": one["name"], "datatype": one["datatype"], "shape": shape, "data": [zero] * count}})
asked = web.Request(f"{{base}}/v2/models/{{name}}/infer", json.dumps({{"inputs": inputs}}).encode(),
                    {{"content-type": "application/json"}})
try:
    end(0, web.urlopen(asked, timeout=60).read().decode()[:200])
except web.HTTPError as error:
    end(1, f"{{error}}: {{error.read().decode()[:300]}}")
"""


class DockerTrial:
    """Implements the ImageTrial port on one Docker Engine."""

    def __init__(self, engine: DockerEngine) -> None:
        self._engine = engine

    def load(self, path: Path) -> None:
        """Send an archive to the engine."""
        self._engine.load_image(_chunks(path), timeout_s=LOAD_TIMEOUT_S)

    def size_bytes(self, image: str) -> int:
        """Return the bytes of all layers."""
        return int(self._engine.get(f"/images/{image}/json")["Size"])

    def rename(self, tag: str, new: str) -> None:
        """Move a tag."""
        name, _, word = new.rpartition(":")
        self._engine.post(f"/images/{tag}/tag", repo=name, tag=word)
        self.remove(tag)

    def remove(self, tag: str) -> None:
        """Remove a tag, and the image when it has no other."""
        with contextlib.suppress(NotFound):
            self._engine.delete(f"/images/{tag}", force=True)

    def run(self, image: str, command: Sequence[str]) -> Tried:
        """Run a command as root would not: as the user of the image, without capabilities or network."""
        return self._run({"Image": image, "Entrypoint": list(command), "Cmd": []})

    def serve(self, image: str) -> Tried:
        """Start the image's own server below a script that asks it."""
        config = self._engine.get(f"/images/{image}/json").get("Config") or {}
        labels = config.get("Labels") or {}
        mounts = []
        if labels.get(LABEL_WEIGHTS) not in (None, "layer"):
            volume = model_volume(labels.get(LABEL_HOME, ""), labels.get(LABEL_MODEL, ""))
            if self._engine.find(f"/volumes/{volume}") is None:
                words = "its model is mounted, and this engine has no volume of it"
                return Tried(code=1, output=words)
            mount = {"Type": "volume", "Source": volume, "Target": MODEL_FOLDER, "ReadOnly": True}
            mounts.append(mount)
        started = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
        body = {"Image": image, "Entrypoint": [started[0], "-c", _SERVE, *started], "Cmd": []}
        return self._run(body, mounts)

    def _run(self, body: Mapping[str, Any], mounts: Sequence[Mapping[str, Any]] = ()) -> Tried:
        limits = {
            "NetworkMode": "none",
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": PIDS_MAX,
            "Tmpfs": {"/tmp": "rw,mode=1777"},  # noqa: S108 - the container's own
            "Mounts": list(mounts),
        }
        whole = {**body, "Tty": False, "HostConfig": limits, "Healthcheck": {"Test": ["NONE"]}}
        made = self._engine.post("/containers/create", whole)["Id"]
        late = threading.Event()

        def end() -> None:
            late.set()
            with contextlib.suppress(PlatformError):
                self._engine.post(f"/containers/{made}/kill")

        timer = threading.Timer(RUN_TIMEOUT_S, end)
        try:
            self._engine.post(f"/containers/{made}/start")
            timer.start()
            code = self._engine.post(f"/containers/{made}/wait", timeout_s=2 * RUN_TIMEOUT_S)
            output = self._output(made)
        finally:
            timer.cancel()
            with contextlib.suppress(PlatformError):
                self._engine.delete(f"/containers/{made}", force=True, v=True)
        if late.is_set():
            return Tried(code=TIMED_OUT, output=f"took longer than {RUN_TIMEOUT_S:g} s")
        return Tried(code=int(code["StatusCode"]), output=output)

    def _output(self, container: str) -> str:
        said = bytearray()
        frames = self._engine.log_frames(container, stdout=True, stderr=True, tail=2000)
        for _, data in frames:
            said += data
            if len(said) > OUTPUT_BYTES_MAX:
                break
        return said.decode("utf-8", "replace")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
