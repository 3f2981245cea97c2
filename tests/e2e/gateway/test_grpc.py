"""gRPC through the gateway: the Triton client, unchanged, meets the release that the weights say."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from prometheus_ai.domain.replica import Endpoint
from prometheus_ai.domain.route import RoutedRelease, RoutedReplica
from tests.e2e.gateway.rig import GatewayRig, release, route, wait_until
from tests.e2e.gateway.upstream import Upstream

pytestmark = pytest.mark.e2e

MODEL = """
class Plus:
    signature = {{
        "inputs": [{{"name": "x", "datatype": "INT64", "shape": [-1, 1]}}],
        "outputs": [{{"name": "y", "datatype": "INT64", "shape": [-1, 1]}}],
    }}

    def predict(self, batch):
        return {{"y": batch["x"] + {more}}}
"""
CALLS = 40


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


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RoutedRelease, ...]]:
    folder = tmp_path_factory.mktemp("replicas")
    with ExitStack() as stack:
        servers = [Server(folder / f"v{number}", f"v{number}", number) for number in (1, 2)]
        for server in servers:
            stack.callback(server.close)
        yield tuple(server.release() for server in servers)


@pytest.fixture
def client(gateway: GatewayRig, releases: tuple[RoutedRelease, ...]) -> Iterator[Any]:
    gateway.serve(route("plus", *releases, weights={"v1": 50, "v2": 50}))
    with triton.InferenceServerClient(gateway.url.removeprefix("http://")) as made:
        ready = {"x-pai-model": "plus"}
        wait_until(lambda: _is_ready(made, ready), "the model is ready")
        yield made


def _is_ready(client: Any, headers: dict[str, str]) -> bool:
    try:
        return bool(client.is_model_ready("plus", headers=headers))
    except InferenceServerException:
        return False


def ask(client: Any, **metadata: str) -> int:
    tensor = triton.InferInput("x", [1, 1], "INT64")
    tensor.set_data_from_numpy(np.array([[40]], np.int64))
    headers = {name.replace("_", "-"): value for name, value in metadata.items()}
    return int(client.infer("plus", [tensor], headers=headers).as_numpy("y")[0, 0])


def test_calls_are_split_by_weight(client: Any) -> None:
    answers = Counter(ask(client, x_pai_model="plus") for _ in range(CALLS))
    assert set(answers) == {41, 42}


def test_metadata_asks_for_one_release(client: Any) -> None:
    assert {ask(client, x_pai_model="plus", x_pai_release="v2") for _ in range(5)} == {42}


def test_the_host_names_the_backend_too(gateway: GatewayRig, client: Any) -> None:
    address = gateway.url.removeprefix("http://")
    named = [("grpc.default_authority", "plus")]
    with triton.InferenceServerClient(address, channel_args=named) as other:
        assert ask(other) in (41, 42)


def test_a_call_that_names_no_backend_is_told_so(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="x-pai-model"):
        ask(client)


def test_an_unknown_release_is_told_so(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="no release of the version asked for"):
        ask(client, x_pai_model="plus", x_pai_release="v9")


def test_both_protocols_count_as_one_release(gateway: GatewayRig, client: Any) -> None:
    before = _requests(gateway)
    for _ in range(3):
        ask(client, x_pai_model="plus", x_pai_release="v1")
        body = {"inputs": [{"name": "x", "datatype": "INT64", "shape": [1, 1], "data": [1]}]}
        answer = gateway.post("/v2/models/plus/infer", json.dumps(body), x_pai_release="v1")
        assert answer.status_code == 200
    wait_until(lambda: _requests(gateway) >= before + 6, "six more requests are counted")


def _requests(gateway: GatewayRig) -> int:
    found = gateway.client.read().releases
    return sum(one.requests for one in found if one.version == "v1")


def test_a_backend_without_grpc_says_so(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(route("plain", release("v1", one), weights={"v1": 100}))
    with (
        triton.InferenceServerClient(gateway.url.removeprefix("http://")) as client,
        pytest.raises(InferenceServerException, match="no ready replica that takes gRPC"),
    ):
        client.is_model_ready("plain", headers={"x-pai-model": "plain"})
    assert one.requests == 0
