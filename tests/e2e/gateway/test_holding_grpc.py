"""gRPC calls for a release without a replica wait too; what cannot wait is told so, and wakes it all the same."""

import queue
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton

from prometheus_ai.domain.route import BackendRoute, Hold, RoutedRelease
from tests.e2e.gateway.model_server import ask, forty
from tests.e2e.gateway.rig import GatewayRig, release, route, wait_until
from tests.e2e.gateway.upstream import Upstream

pytestmark = pytest.mark.e2e

MANY = 40
LIVE = "/inference.GRPCInferenceService/ServerLive"
NAMED = (("x-pai-model", "plus"),)


def sleeper(*awake: RoutedRelease, wait_s: float = 20.0) -> BackendRoute:
    """Return a backend whose only release holds calls; it sleeps unless a release with replicas is given."""
    hold = Hold(wait_s=wait_s, start_s=7.0)
    held = replace(awake[0], hold=hold) if awake else release("v1", hold=hold)
    return route("plus", held, weights={"v1": 100})


@pytest.fixture
def channel(gateway: GatewayRig) -> Iterator[grpc.Channel]:
    """A channel without retries of its own."""
    address = gateway.url.removeprefix("http://")
    with grpc.insecure_channel(address, [("grpc.enable_retries", 0)]) as made:
        yield made


def waiting(gateway: GatewayRig) -> int:
    return sum(one.requests for one in gateway.client.held(-1, 0.0).releases)


def live(channel: grpc.Channel, message: bytes = b"", timeout: float = 30.0) -> bytes:
    answer: bytes = channel.unary_unary(LIVE)(message, timeout=timeout, metadata=NAMED)
    return answer


def refusal(error: Any) -> tuple[grpc.StatusCode, str, dict[str, Any]]:
    """Return code, text and trailing metadata of a call that failed."""
    return error.code(), error.details(), dict(error.trailing_metadata())


def test_calls_wake_a_release_once_and_are_all_answered(
    gateway: GatewayRig, releases: tuple[RoutedRelease, ...]
) -> None:
    gateway.serve(sleeper())
    number = gateway.client.held(-1, 0.0).number
    address = gateway.url.removeprefix("http://")
    with triton.InferenceServerClient(address) as client, ThreadPoolExecutor(MANY) as pool:
        asked = [pool.submit(ask, client, x_pai_model="plus") for _ in range(MANY)]
        assert gateway.client.held(number, 10.0).releases
        wait_until(lambda: waiting(gateway) == MANY, "all of them wait")
        gateway.serve(sleeper(releases[0]))
        assert {one.result(30) for one in asked} == {41}
    wait_until(lambda: waiting(gateway) == 0, "nobody waits any more")


def test_a_call_that_waits_too_long_ends_as_unavailable_with_a_time_to_come_back(
    gateway: GatewayRig, channel: grpc.Channel
) -> None:
    gateway.serve(sleeper(wait_s=0.3))
    with pytest.raises(grpc.RpcError) as caught:
        live(channel)
    code, text, trailers = refusal(caught.value)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "asleep and being woken" in text
    assert "%" not in text
    assert 1 <= int(trailers["retry-after"]) <= 7
    assert 1000 <= int(trailers["grpc-retry-pushback-ms"]) <= 7000
    assert b"type.googleapis.com/google.rpc.RetryInfo" in trailers["grpc-status-details-bin"]


def test_a_call_gives_its_place_back_at_its_own_deadline(
    gateway: GatewayRig, channel: grpc.Channel
) -> None:
    gateway.serve(sleeper())
    with pytest.raises(grpc.RpcError) as caught:
        live(channel, timeout=0.3)
    assert refusal(caught.value)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: waiting(gateway) == 0, "its place is free")


def test_a_message_too_large_to_be_sent_twice_is_told_to_come_back(
    gateway: GatewayRig, channel: grpc.Channel, releases: tuple[RoutedRelease, ...]
) -> None:
    gateway.serve(sleeper())
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(live, channel, b"x" * (2 * 2**20))
        wait_until(lambda: waiting(gateway), "it waits")
        gateway.serve(sleeper(releases[0]))
        error: Any = asked.exception(30)
    code, text, trailers = refusal(error)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "is awake now; send it again" in text
    assert trailers["retry-after"] == "1"


def test_a_stream_waits_and_goes_on(
    gateway: GatewayRig, releases: tuple[RoutedRelease, ...]
) -> None:
    gateway.serve(sleeper())
    answers: queue.Queue[Any] = queue.Queue()
    address = gateway.url.removeprefix("http://")
    with triton.InferenceServerClient(address) as client:
        client.start_stream(
            lambda result, error: answers.put(error or result.as_numpy("y")[0, 0]),
            headers=dict(NAMED),
        )
        client.async_stream_infer("plus", [forty()])
        wait_until(lambda: waiting(gateway), "it waits")
        gateway.serve(sleeper(releases[0]))
        assert answers.get(timeout=30) == 41
        client.async_stream_infer("plus", [forty()])
        assert answers.get(timeout=30) == 41


def test_a_release_that_takes_no_grpc_says_so_once_it_is_awake(
    gateway: GatewayRig, channel: grpc.Channel, one: Upstream
) -> None:
    gateway.serve(sleeper())
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(live, channel)
        wait_until(lambda: waiting(gateway), "it waits")
        gateway.serve(sleeper(release("v1", one)))
        error: Any = asked.exception(30)
    code, text, _ = refusal(error)
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "takes no gRPC" in text


def test_an_upgraded_connection_waits_too(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(sleeper())
    with opened(gateway) as connection:
        wait_until(lambda: waiting(gateway), "it waits")
        gateway.serve(sleeper(release("v1", one)))
        assert connection.recv(4096).startswith(b"HTTP/1.1 101")
        connection.sendall(b"hello")
        assert connection.recv(4096) == b"HELLO"


def test_an_upgrade_that_waits_too_long_is_told_when_to_come_back(gateway: GatewayRig) -> None:
    gateway.serve(sleeper(wait_s=0.3))
    with opened(gateway) as connection:
        answer = connection.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 503")
    assert "retry-after: 7" in answer
    assert "asleep and being woken" in answer


def opened(gateway: GatewayRig) -> socket.socket:
    """Return a connection that asks to be upgraded."""
    made = socket.create_connection(("127.0.0.1", gateway.settings.gateway_port), 10)
    made.sendall(
        b"GET /plus/chat HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    )
    return made


def test_what_cannot_be_held_wakes_its_release_all_the_same(gateway: GatewayRig) -> None:
    held = release("v1", hold=Hold(wait_s=20.0, start_s=1.0), request_bytes_max=2**28)
    gateway.serve(route("plus", held, weights={"v1": 100}))
    answer = gateway.post("/plus/x", b"x" * (65 * 2**20))
    assert answer.status_code == 503
    wishes = gateway.client.held(-1, 0.0).releases
    assert [(one.backend, one.version) for one in wishes] == [("plus", "v1")]
