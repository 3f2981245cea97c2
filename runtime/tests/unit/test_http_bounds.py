"""What clients may send, and what they are told when it is too much or malformed."""

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest
from runtime.tests.fakes import FakeServer, Response

from prometheus_ai_runtime.config import Limits

SMALL = Limits(
    request_bytes_max=4096,
    head_bytes_max=1024,
    connections_max=2,
    body_bytes_total_max=6000,
    pipelined_max=4,
)


def tensors(rows: int = 1, **change: Any) -> dict[str, Any]:
    x = {"name": "x", "datatype": "FP32", "shape": [rows, 2], "data": [1.5, 2.0] * rows}
    s = {"name": "s", "datatype": "BYTES", "shape": [rows, 2], "data": ["a", "b"] * rows}
    b = {"name": "b", "datatype": "BOOL", "shape": [rows, 1], "data": [True] * rows}
    return {"inputs": [{**x, **change}, s, b]}


def post(body: Any, path: str = "/v2/models/tiny/infer", **headers: Any) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"host": "x", "content_length": len(raw), **headers}
    lines = [f"{k.replace('_', '-')}: {v}" for k, v in given.items() if v is not None]
    return "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode() + raw


def talk(*pieces: bytes, limits: Limits | None = None) -> list[Response]:
    async def run() -> list[Response]:
        responses, _ = await FakeServer(limits).converse(*pieces)
        return responses

    return asyncio.run(run())


def only(responses: list[Response]) -> tuple[int, str]:
    (response,) = responses
    return response.status, json.loads(response.body).get("error", "")


def test_a_good_request_is_answered() -> None:
    (response,) = talk(post(tensors()))
    assert response.status == 200
    outputs = json.loads(response.body)["outputs"]
    assert [o["data"] for o in outputs] == [[3.0, 4.0], ["a+b"]]


def test_pipelined_requests_are_answered_in_order() -> None:
    requests = [
        post(tensors()),
        b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n",
        post(tensors(rows=2)),
        b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n",
        post({"inputs": 3}),
    ]
    responses = talk(b"".join(requests))
    assert [r.status for r in responses] == [200, 200, 200, 404, 400]
    assert json.loads(responses[2].body)["outputs"][0]["shape"] == [2, 2]


def test_a_request_may_come_byte_by_byte() -> None:
    whole = post(tensors()) + post(tensors())
    responses = talk(*(whole[i : i + 1] for i in range(len(whole))))
    assert [r.status for r in responses] == [200, 200]


def test_a_chunked_body_is_put_together() -> None:
    raw = json.dumps(tensors()).encode()
    head = b"POST /v2/models/tiny/infer HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (1, raw[i : i + 1]) for i in range(len(raw)))
    after = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    responses = talk(head + chunks + b"0\r\ntrailer: x\r\n\r\n" + after)
    assert [r.status for r in responses] == [200, 200]


def test_expect_100_continue_is_answered_before_the_body() -> None:
    async def run() -> bytes:
        connection, transport = FakeServer().connect()
        request = post(tensors(), expect="100-continue")
        connection.data_received(request[: request.index(b"\r\n\r\n") + 4])
        return bytes(transport.written)

    assert asyncio.run(run()) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert only(talk(post(tensors(), expect="a-miracle")))[0] == 417


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_bodies_are_opened_within_the_bound(coding: str) -> None:
    squeeze = gzip.compress if coding == "gzip" else zlib.compress
    body = squeeze(json.dumps(tensors()).encode())
    assert only(talk(post(body, content_encoding=coding)))[0] == 200
    bomb = squeeze(b"[" + b"0," * 50_000_000 + b"0]")
    status, error = only(talk(post(bomb, content_encoding=coding)))
    assert status == 413
    assert "decompressed" in error
    assert only(talk(post(b"junk", content_encoding=coding)))[0] == 400
    assert only(talk(post(body[:-9], content_encoding=coding)))[0] == 400


@pytest.mark.parametrize(
    ("request_bytes", "status", "words"),
    [
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 2000, 431, "larger than 1024"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"host: x\r\n\r\n", 431, "100 header lines"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "Host"),
        (b"GET / HTTP/2.0\r\nhost: x\r\n\r\n", 505, "use HTTP/1.1"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\nhost : x\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n", 400, ""),
        (post({}, transfer_encoding="chunked"), 400, ""),
        (post({}, content_length="1, 2"), 400, "malformed"),
        (post({}, content_length="-5"), 400, "malformed"),
        (post({}, content_length="5000"), 413, "larger than 4096"),
        (post({}, content_length=None, transfer_encoding="gzip, chunked"), 501, "chunked"),
    ],
)
def test_a_head_that_cannot_be_served_ends_the_connection(
    request_bytes: bytes, status: int, words: str
) -> None:
    follow_up = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    responses = talk(request_bytes + follow_up, limits=SMALL)
    got, error = only(responses)
    assert (got, words in error) == (status, True), error
    assert responses[0].headers["connection"] == "close"


@pytest.mark.parametrize(
    "chunks", [b"zz\r\n", b"-1\r\n", b"5\r\nab\r\n0\r\n\r\n", b"fffffffff\r\n", b"1" * 300]
)
def test_malformed_chunks_end_the_connection(chunks: bytes) -> None:
    head = b"POST /v2/models/tiny/infer HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    assert only(talk(head + chunks + b"x" * 300))[0] == 400


def test_chunks_past_the_bound_are_refused() -> None:
    head = b"POST /v2/models/tiny/infer HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    assert only(talk(head + b"1001\r\n", limits=SMALL))[0] == 413


def test_too_many_connections_are_turned_away() -> None:
    async def run() -> bytes:
        server = FakeServer(SMALL)
        opened = [server.connect() for _ in range(3)]
        opened[0][0].connection_lost(None)
        server.connect()[1].written.clear()
        return bytes(opened[2][1].written)

    assert asyncio.run(run()).startswith(b"HTTP/1.1 503 ")


def test_bodies_under_way_share_one_budget() -> None:
    async def run() -> tuple[bytes, bytes]:
        server = FakeServer(SMALL)
        head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4000\r\n\r\n"
        (first, _), (second, transport) = server.connect(), server.connect()
        first.data_received(head)
        second.data_received(head)
        refused = bytes(transport.written)
        first.connection_lost(None)
        second.connection_lost(None)
        third, transport = server.connect()
        third.data_received(head)
        return refused, bytes(transport.written)

    refused, granted = asyncio.run(run())
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert granted == b""


def slow(seconds: float, *pieces: bytes) -> bytes:
    """What a connection has written when nothing more comes for so long."""

    async def run() -> bytes:
        connection, transport = FakeServer().connect()
        for piece in pieces:
            connection.data_received(piece)
        connection.tick(connection.first_byte_at + seconds)
        return bytes(transport.written) or (b"closed" if transport.closed else b"open")

    return asyncio.run(run())


def test_slow_clients_are_told_and_let_go() -> None:
    head = post({}, content_length=100)
    assert slow(9.0, b"GET / HT") == b"open"
    assert slow(11.0, b"GET / HT").startswith(b"HTTP/1.1 408 ")
    assert slow(29.0, head) == b"open"
    assert slow(31.0, head).startswith(b"HTTP/1.1 408 ")
    assert slow(70.0) == b"open"
    assert slow(80.0) == b"closed"


def test_a_client_that_does_not_read_is_dropped() -> None:
    async def run() -> list[bool]:
        connection, transport = FakeServer().connect()
        connection.pause_writing()
        states = [transport.reading]
        connection.tick(connection.first_byte_at + 29.0)
        states.append(transport.closed)
        connection.tick(connection.first_byte_at + 31.0)
        return [*states, transport.closed]

    assert asyncio.run(run()) == [False, False, True]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": [2**62, 2]}, "too large"),
        ({"shape": [2**63, 2**63]}, "too large"),
        ({"shape": [0, 2]}, "no rows"),
        ({"shape": [-1, 2]}, "negative"),
        ({"shape": [1.0, 2]}, "whole numbers"),
        ({"shape": [[1], 2]}, "whole numbers"),
        ({"shape": "ab"}, "whole numbers"),
        ({"shape": [1] * 30}, "dimensions"),
        ({"shape": [1, 3]}, "expected shape [-1, 2], got [1, 3]"),
        ({"shape": [2, 2]}, "holds 4 values, `data` has 2"),
        ({"datatype": "INT64"}, "expected FP32, got INT64"),
        ({"datatype": None}, "`datatype` is missing"),
        ({"name": "z"}, "unknown input `z`"),
        ({"name": "b", "datatype": "BOOL", "shape": [1, 1], "data": [True]}, "given twice"),
        ({"name": 3}, "with a `name`"),
        ({"data": "ab"}, "must be a list"),
        ({"data": [1.0, "abc"]}, "expected FP32, row 0 has 'abc'"),
        ({"data": [1.0, None]}, "expected FP32, row 0 has null"),
        ({"data": [1e39, 0]}, "expected FP32, row 0 has 1e+39"),
        ({"data": [[1.0], [2.0, 3.0]]}, "unequal length"),
        ({"data": [[[[1.0]]], 2.0]}, "expected FP32, row 0 has an array"),
        ({"data": None}, "neither `data` nor"),
        ({"data": None, "parameters": {"binary_data_size": 8}}, "neither `data` nor"),
    ],
)
def test_wrong_tensors_are_explained(change: dict[str, Any], words: str) -> None:
    status, error = only(talk(post(tensors(**change))))
    assert status in (400, 413)
    assert words in error, error


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": [{"name": "x", "data": [NaN]}]}',
        b'{"inputs": [{"name": "x", "data": [Infinity]}]}',
        b'{"inputs": [{"name": "x", "data": [1e999]}]}',
        b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\xff\xfe",
        b"",
        b"null",
        b"[]",
        b'{"inputs": {}}',
        b'{"inputs": []}',
        b'{"inputs": [' + b"{}," * 1_000_000 + b"{}]}",
        b'{"inputs": [' + b"1," * 1_000_000 + b"1]}",
    ],
)
def test_wrong_documents_are_explained(body: bytes) -> None:
    status, error = only(talk(post(body)))
    assert status == 400
    assert 0 < len(error) < 300


def binary(values: bytes, size: int, head: int | None = None) -> bytes:
    document = tensors(data=None, parameters={"binary_data_size": size})
    raw = json.dumps(document).encode()
    return post(raw + values, inference_header_content_length=head or len(raw))


def test_binary_tensors_are_checked_like_others() -> None:
    assert only(talk(binary(b"\0" * 8, 8)))[0] == 200
    for request, words in (
        (binary(b"\0" * 9, 8), "belong to no input"),
        (binary(b"\0" * 7, 7), "holds 8 bytes, 7 were sent"),
        (binary(b"\0" * 4, 8), "8 bytes of binary data declared, 4 sent"),
        (binary(b"\0" * 8, 8, head=10**6), "larger than the body"),
        (binary(b"\0" * 4 + b"\0\0\xc0\x7f", 8), "row 0 has NaN or infinity"),
        (binary(b"\0\0\x80\x7f" + b"\0" * 4, 8), "row 0 has NaN or infinity"),
        (binary(b"\0" * 8, -1), "whole number"),
    ):
        status, error = only(talk(request))
        assert (status, words in error) == (400, True), error


def test_unknown_paths_and_methods_have_their_own_codes() -> None:
    def ask(line: bytes) -> Response:
        return talk(line + b" HTTP/1.1\r\nhost: x\r\n\r\n")[0]

    assert ask(b"GET /v2/nothing").status == 404
    assert ask(b"GET /v2/models/absent").status == 404
    assert ask(b"GET /v2/models/tiny/versions/9").status == 404
    assert ask(b"GET /v2/models/%74iny").status == 200
    wrong = ask(b"GET /v2/models/tiny/infer")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")


def test_a_head_request_is_answered_without_a_body() -> None:
    async def run() -> bytes:
        connection, transport = FakeServer().connect()
        connection.data_received(b"HEAD /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        return bytes(transport.written)

    written = asyncio.run(run())
    assert written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert written.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (
            tensors(data=None, parameters={"shared_memory_region": "r"}),
            "input `x`: shared memory is not offered; send the values",
        ),
        (
            {
                **tensors(),
                "outputs": [{"name": "y", "parameters": {"shared_memory_region": "r"}}],
            },
            "output `y`: shared memory is not offered",
        ),
    ],
)
def test_shared_memory_is_refused_by_its_name(body: Any, complaint: str) -> None:
    (answer,) = talk(post(body))
    assert (answer.status, json.loads(answer.body)) == (400, {"error": complaint})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/models/tiny/infer", {"inputs": []}),
        ("/v2/models/tiny/infer", tensors(data=[1.0, "a"])),
        ("/tiny/predict", [{"x": 1}]),
    ],
)
def test_a_refusal_names_the_release_that_refused(path: str, body: Any) -> None:
    (answer,) = talk(post(body, path))
    assert answer.status == 400
    assert answer.headers["x-pai-release"] == "tiny/1"
    assert answer.headers["x-request-id"]
