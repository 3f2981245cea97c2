"""gRPC through the gateway: the Triton client, unchanged, meets the release that the weights say."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from prometheus_ai.domain.route import RoutedRelease
from tests.e2e.gateway.model_server import ask
from tests.e2e.gateway.rig import GatewayRig, release, route, wait_until
from tests.e2e.gateway.upstream import Upstream

pytestmark = pytest.mark.e2e

CALLS = 40


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
