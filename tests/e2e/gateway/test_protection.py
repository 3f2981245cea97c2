"""Limits, retries, ejection, streams, and what a client may not do."""

import contextlib
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.gateway.rig import GatewayRig, release, route, wait_until
from tests.e2e.gateway.upstream import Upstream

pytestmark = pytest.mark.e2e


def test_a_declared_body_above_the_limit_is_refused(gateway: GatewayRig, one: Upstream) -> None:
    small = release("v1", one, request_bytes_max=1000)
    gateway.serve(route("small", small, weights={"v1": 100}))
    answer = gateway.post("/small/", b"x" * 1001)
    assert answer.status_code == 413
    assert "1000 bytes" in answer.json()["error"]
    assert gateway.post("/small/", b"x" * 1000).json()["body_size"] == 1000
    assert one.requests == 1


def test_an_undeclared_body_above_the_limit_is_refused(gateway: GatewayRig, one: Upstream) -> None:
    small = release("v1", one, request_bytes_max=100_000)
    gateway.serve(route("small", small, weights={"v1": 100}))
    chunks = [b"x" * 10_000] * 11
    answer = gateway.post("/small/", iter(chunks))
    assert answer.status_code == 413
    assert "error" in answer.json()
    assert gateway.post("/small/", iter(chunks[:10])).json()["body_size"] == 100_000
    assert one.requests == 1


def test_each_release_has_its_own_body_limit(
    gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    releases = (
        release("v1", one, request_bytes_max=1000),
        release("v2", two, request_bytes_max=2000),
    )
    gateway.serve(route("mixed", *releases, weights={"v1": 100, "v2": 0}))
    body = b"x" * 1500
    assert gateway.post("/mixed/", body).status_code == 413
    assert gateway.post("/mixed/", body, x_pai_release="v1").status_code == 413
    assert gateway.post("/mixed/", body, x_pai_release="v2").status_code == 200


def test_a_slow_answer_is_a_504_after_the_releases_timeout(
    gateway: GatewayRig, one: Upstream
) -> None:
    gateway.serve(route("slow", release("v1", one, request_timeout_s=0.2), weights={"v1": 100}))
    answer = gateway.post("/slow/sleep/5000")
    assert answer.status_code == 504
    assert "timeouts.request_s" in answer.json()["error"]


def test_an_answer_of_the_model_passes_unchanged(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(route("plain", release("v1", one), weights={"v1": 100}))
    for status in (400, 404, 422, 429, 500, 503):
        answer = gateway.post(f"/plain/status/{status}")
        assert answer.status_code == status
        assert answer.json()["replica"] == "one"


def test_a_replica_that_refuses_connections_costs_no_request(
    gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    gateway.serve(route("pair", release("v1", one, two), weights={"v1": 100}))
    two.kill()
    statuses = Counter(gateway.post("/pair/").status_code for _ in range(40))
    assert statuses == {200: 40}


def test_a_large_body_is_sent_again_too(gateway: GatewayRig, one: Upstream, two: Upstream) -> None:
    large = release("v1", one, two, request_bytes_max=8 * 2**20)
    gateway.serve(route("large", large, weights={"v1": 100}))
    two.kill()
    body = b"x" * (4 * 2**20)
    assert {gateway.post("/large/", body).json()["body_size"] for _ in range(6)} == {len(body)}


def test_nothing_is_sent_twice_unless_it_may_be(
    gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    gateway.serve(route("once", release("v1", one, two), weights={"v1": 100}))
    answer = gateway.post("/once/abort")
    assert answer.status_code == 503
    assert "broke off" in answer.json()["error"]
    assert one.seen["/abort"] + two.seen["/abort"] == 1


def test_a_client_cannot_switch_retries_on(
    gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    gateway.serve(route("once", release("v1", one, two), weights={"v1": 100}))
    gateway.post("/once/abort", x_envoy_retry_on="reset,5xx", x_envoy_max_retries="5")
    assert one.seen["/abort"] + two.seen["/abort"] == 1


@pytest.mark.parametrize("how", ["get", "key", "spec"])
def test_what_may_run_twice_survives_a_broken_connection(
    gateway: GatewayRig, one: Upstream, two: Upstream, how: str
) -> None:
    released = release("v1", one, two, is_idempotent=how == "spec")
    gateway.serve(route("twice", released, weights={"v1": 100}))
    # The replica that is tried first breaks off, and the other one has seen the key already.
    two.aborted.add("k")
    one.aborted.clear()
    answers = []
    while not one.aborted:
        headers = {"idempotency-key": "k"} if how == "key" else {}
        method = "GET" if how == "get" else "POST"
        answers.append(gateway.http.request(method, "/twice/abort-once/k", headers=headers))
        assert len(answers) < 100, "the balancer never chose the first replica"
    assert {answer.status_code for answer in answers} == {200}


def test_a_replica_that_keeps_failing_is_ejected_for_a_while(
    gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    gateway.serve(route("sick", release("v1", one, two), weights={"v1": 100}))
    two.kill()
    for _ in range(30):
        assert gateway.post("/sick/").status_code == 200
    two.listen()
    wait_until(lambda: gateway.post("/sick/").json()["replica"] == "two", "it is back")


def test_a_lone_replica_is_never_ejected(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(route("lone", release("v1", one), weights={"v1": 100}))
    for _ in range(20):
        assert gateway.post("/lone/status/503").json()["replica"] == "one"
    assert gateway.post("/lone/").status_code == 200


def test_a_dead_lone_replica_is_a_503_with_a_hint(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(route("dead", release("v1", one), weights={"v1": 100}))
    one.kill()
    answer = gateway.post("/dead/")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "error" in answer.json()


def test_overload_is_refused_at_once_and_counted(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(route("busy", release("v1", one, request_timeout_s=60), weights={"v1": 100}))
    # More than connections and queue take together.
    count = 2300
    payload = b"POST /busy/sleep/60000 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
    with contextlib.ExitStack() as connections:
        for _ in range(count):
            address = ("127.0.0.1", gateway.settings.gateway_port)
            last = connections.enter_context(socket.create_connection(address, timeout=30))
            last.sendall(payload)
        answer = last.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 503")
    assert '"error":"overloaded' in answer
    assert "retry-after: 1" in answer
    counters = {found.backend: found for found in gateway.client.read().releases}
    assert counters["busy"].rejected > 0
    assert counters["busy"].errors == 0


def test_events_stream_through_at_once(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(route("live", release("v1", one), weights={"v1": 100}))
    with gateway.http.stream("POST", "/live/events", content=b"{}") as answer:
        lines = (line for line in answer.iter_lines() if line)
        assert [next(lines), next(lines)] == ["data: one 0", "data: one 1"]
        one.release_stream()
        assert next(lines) == "data: one 2"


def test_a_websocket_passes_both_ways(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(route("ws", release("v1", one), weights={"v1": 100}))
    address = ("127.0.0.1", gateway.settings.gateway_port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(
            b"GET /ws/chat HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        )
        head = connection.recv(4096).decode()
        assert head.startswith("HTTP/1.1 101")
        assert "x-pai-release: ws/v1" in head
        connection.sendall(b"hello")
        assert connection.recv(4096) == b"HELLO"


def test_http2_without_tls_is_understood(gateway: GatewayRig) -> None:
    address = ("127.0.0.1", gateway.settings.gateway_port)
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        frame = connection.recv(9)
    assert frame[3] == 4, "the answer is a SETTINGS frame"


def test_a_request_id_is_kept_or_made(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(route("id", release("v1", one), weights={"v1": 100}))
    kept = gateway.get("/id/", x_request_id="mine")
    assert kept.headers["x-request-id"] == kept.json()["headers"]["x-request-id"] == "mine"
    made = gateway.get("/id/")
    assert made.headers["x-request-id"] == made.json()["headers"]["x-request-id"]
    assert len(made.headers["x-request-id"]) == 36


def test_internal_headers_of_clients_have_no_effect(
    gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    gateway.serve(
        route("front", release("v1", one), weights={"v1": 100}),
        route("back", release("v1", two), weights={"v1": 100}),
    )
    answer = gateway.get(
        "/front/sleep/50",
        x_pai_backend="back",
        x_envoy_upstream_rq_timeout_ms="1",
        x_envoy_original_path="/back/",
    )
    assert answer.status_code == 200
    assert answer.json()["replica"] == "one"
    assert "x-pai-backend" not in answer.json()["headers"]
    assert "x-envoy-original-path" not in answer.json()["headers"]
    assert gateway.get("/unknown/", x_pai_backend="back").status_code == 404


@pytest.mark.parametrize("path", ["/front/a%2fb", "/front/a%5cb"])
def test_an_escaped_slash_is_refused(gateway: GatewayRig, one: Upstream, path: str) -> None:
    gateway.serve(route("front", release("v1", one), weights={"v1": 100}))
    answer = gateway.get(path)
    assert answer.status_code == 400
    assert "path_normalization_failed" in answer.json()["error"]


def test_headers_are_bounded(gateway: GatewayRig, one: Upstream) -> None:
    gateway.serve(route("front", release("v1", one), weights={"v1": 100}))
    many = {f"x-{number}": "1" for number in range(120)}
    for headers in ({"x-large": "x" * 40_000}, many):
        answer = gateway.http.get("/front/", headers=headers)
        assert answer.status_code == 431
        assert "error" in answer.json()


def test_only_loopback_listens_and_administration_has_no_port(gateway: GatewayRig) -> None:
    pid = gateway.envoy_pid()
    inodes = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}
    assert listening == {f"0100007F:{gateway.settings.gateway_port:04X}"}
    for path in (gateway.settings.gateway / "admin.sock", gateway.settings.gateway_socket):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_draining_replica_gets_nothing_new_and_finishes_what_it_has(
    gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    gateway.serve(route("leave", release("v1", one), weights={"v1": 100}))
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(gateway.post, "/leave/sleep/700")
        wait_until(lambda: one.requests == 1, "the request is under way")
        draining = release("v1", two)
        gateway.serve(route("leave", draining, weights={"v1": 100}))
        assert {gateway.post("/leave/").json()["replica"] for _ in range(10)} == {"two"}
        assert under_way.result().json()["replica"] == "one"


def test_a_removed_release_finishes_what_it_has(
    gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    gateway.serve(
        route("old", release("v1", one), release("v2", two), weights={"v1": 100, "v2": 0})
    )
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(gateway.post, "/old/sleep/700")
        wait_until(lambda: one.requests == 1, "the request is under way")
        gateway.serve(route("old", release("v2", two), weights={"v2": 100}))
        assert gateway.post("/old/").json()["replica"] == "two"
        assert under_way.result().json()["replica"] == "one"


def test_a_taken_port_is_a_clear_error(tmp_path: Path) -> None:
    rig = GatewayRig(tmp_path / "home")
    with socket.create_server(("127.0.0.1", rig.settings.gateway_port)):
        process = rig.spawn()
        assert process.wait(timeout=20) != 0
    said = rig.log.read_text()
    assert f"cannot listen on 127.0.0.1:{rig.settings.gateway_port}" in said
    rig.close()
