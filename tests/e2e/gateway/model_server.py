"""Model servers as replicas: what tests of gRPC through the gateway put behind it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton

from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.route import RoutedRelease, RoutedReplica
from tests.e2e.gateway.rig import wait_until

MODEL = """
class Plus:
    signature = {{
        "inputs": [{{"name": "x", "datatype": "INT64", "shape": [-1, 1]}}],
        "outputs": [{{"name": "y", "datatype": "INT64", "shape": [-1, 1]}}],
    }}

    def predict(self, batch):
        return {{"y": batch["x"] + {more}}}
"""


class Server:
    """One replica of one release: the model server, with gRPC."""

    def __init__(self, folder: Path, version: str, more: int) -> None:
        folder.mkdir()
        model, self._announce = folder / "model.py", folder / "announce.json"
        model.write_text(MODEL.format(more=more))
        self.version = version
        self.process = subprocess.Popen(
            [sys.executable, "-m", "prometheus_ai_runtime", "serve", f"plus={model}",
             "--engine", "python", "--port", "0", "--grpc-port", "0",
             "--announce", str(self._announce)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def release(self) -> RoutedRelease:
        """Return the release, as a table has it once the server listens."""
        wait_until(self._announce.exists, "the replica listens")
        said = json.loads(self._announce.read_text())
        endpoint = Endpoint(host="127.0.0.1", port=said["http_port"], grpc_port=said["grpc_port"])
        return RoutedRelease(
            version=self.version,
            replicas=(RoutedReplica(id=f"plus-{self.version}", endpoint=endpoint),),
            request_timeout_s=10.0,
            request_bytes_max=2**20,
        )

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait(10)


def forty() -> Any:
    """Return the input of one request."""
    tensor = triton.InferInput("x", [1, 1], "INT64")
    tensor.set_data_from_numpy(np.array([[40]], np.int64))
    return tensor


def ask(client: Any, **metadata: str) -> int:
    """Ask what 40 and the release's number are."""
    headers = {name.replace("_", "-"): value for name, value in metadata.items()}
    return int(client.infer("plus", [forty()], headers=headers).as_numpy("y")[0, 0])
