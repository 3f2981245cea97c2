"""What clients should not send, against a server's real sockets: told clearly, and nobody else notices."""

import gzip
import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import httptools
import pytest
from runtime.tests.conftest import servers, wait_until

DOUBLE = '''
class Double:
    """Twice the numbers."""

    signature = {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
    }

    def predict(self, batch):
        return {"y": batch["x"] * 2}
'''
KIB = 1024
SLOW_S = 1.0
INFER = "/v2/models/double/infer"
GRPC_INFER = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One server for all tests: each also says that the ones before it did no harm."""
    folder = tmp_path_factory.mktemp("hardness")
    (folder / "model.py").write_text(DOUBLE)
    limits = {
        "request_bytes_max": 2048 * KIB, "head_bytes_max": 4 * KIB, "connections_max": 24,
        "pipelined_max": 8,
    }  # fmt: skip
    with servers(folder) as serve:
        running = serve(
            "--grpc-port",
            "0",
            models=[{"name": "double", "version": "1", "path": folder / "model.py"}],
            limits=limits,
            timeouts={"head_s": SLOW_S, "body_s": SLOW_S},
        )
        yield running
        assert running.stop() == 0


class Answers:
    """Reads responses with a parser that is not ours."""

    def __init__(self) -> None:
        self.found: list[tuple[int, bytes]] = []
        self._body = b""
        self.parser: Any = httptools.HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.found.append((self.parser.get_status_code(), self._body))
        self._body = b""


def say(port: int, *pieces: bytes, answers: int = 1, pause_s: float = 0.0) -> list[tuple[int, str]]:
    """Send pieces; return the statuses and errors of so many answers."""
    reader = Answers()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        for piece in pieces:
            raw.sendall(piece)
            time.sleep(pause_s)
        while len(reader.found) < answers:
            data = raw.recv(65536)
            if not data:
                break
            reader.parser.feed_data(data.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""))
    return [(status, json.loads(body or b"{}").get("error", "")) for status, body in reader.found]


def post(body: bytes, *lines: str, path: str = INFER, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {size}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def tensors(**change: Any) -> bytes:
    one = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.0], **change}
    return json.dumps({"inputs": [one]}).encode()


def binary(values: bytes) -> bytes:
    text = tensors(data=None, parameters={"binary_data_size": len(values)})
    return post(text + values, f"inference-header-content-length: {len(text)}")


BOMB = gzip.compress(b"[" + b"0," * 20_000_000 + b"0]")
DEEP = b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
TINY = b'{"inputs": [' + b"{}," * 600_000 + b"{}]}"
NAN, INFINITY = struct.pack("<f", float("nan")), struct.pack("<f", float("inf"))

REFUSALS = {
    "a head beyond its bound": (b"GET / HTTP/1.1\r\nx: " + b"y" * 5000, 431, "larger than 4096"),
    "too many header lines": (
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 101 + b"\r\n", 431, "100 header lines",
    ),
    "a body beyond its bound": (post(b"", length=3_000_000), 413, "larger than 2097152"),
    "JSON nested too deep": (post(DEEP), 400, "not JSON"),
    "a tensor beyond its bound": (post(tensors(shape=[2**50, 2])), 413, "too large"),
    "a shape whose product overflows": (post(tensors(shape=[2**63, 2**63])), 413, "too large"),
    "a size beside zero": (post(tensors(shape=[0, 2**62])), 413, "too large"),
    "NaN in JSON": (post(b'{"inputs": [{"name": "x", "data": [NaN]}]}'), 400, "not JSON"),
    "a number beyond FP32": (post(tensors(data=[1e39, 0])), 400, "row 0 has 1e+39"),
    "NaN in a binary tensor": (binary(NAN * 2), 400, "row 0 has NaN or infinity"),
    "an infinity in a binary tensor": (binary(bytes(4) + INFINITY), 400, "NaN or infinity"),
    "a million tiny tensors": (post(TINY), 400, "objects in the body"),
    "a decompression bomb": (post(BOMB, "content-encoding: gzip"), 413, "decompressed"),
    "a coding nobody knows": (post(b"{}", "content-encoding: br"), 400, "use gzip or deflate"),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed HTTP"),
    "two lengths": (post(b"{}", "content-length: 3"), 400, ""),
    "a length and chunks": (post(b"{}", "transfer-encoding: chunked"), 400, ""),
    "a chunk without a size": (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400, "hexadecimal",
    ),
    "an expectation nobody meets": (post(b"{}", "expect: a-miracle"), 417, "100-continue"),
    "HTTP/2 on the port of HTTP/1.1": (b"GET / HTTP/2.0\r\nhost: x\r\n\r\n", 505, "HTTP/1.1"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_what_cannot_be_served_is_told_why(double: Any, what: str) -> None:
    sent, status, words = REFUSALS[what]
    ((got, error),) = say(double.port, sent)
    assert (got, words in error) == (status, True), error
    assert say(double.port, post(tensors())) == [(200, "")]


def test_a_slow_head_and_a_slow_body_are_given_up(double: Any) -> None:
    for pieces, words in (
        ((b"GET / HT", b"TP"), "request head took longer"),
        ((post(b"{", length=100),), "request body took longer"),
    ):
        ((status, error),) = say(double.port, *pieces)
        assert (status, words in error) == (408, True)


def test_one_connection_too_many_is_turned_away(double: Any) -> None:
    opened = [socket.create_connection(("127.0.0.1", double.port), timeout=30) for _ in range(24)]
    try:
        wait_until(lambda: refused(double.port), "the last place is taken")
    finally:
        for each in opened:
            each.close()
    wait_until(lambda: not refused(double.port), "the places are free again")


def refused(port: int) -> bool:
    ((status, error),) = say(port, post(tensors()))
    assert status in (200, 503)
    assert status == 200 or error == "too many connections"
    return status == 503


def test_pipelined_chunked_and_continued_requests_are_answered_in_order(double: Any) -> None:
    body = tensors()
    chunked = f"POST {INFER} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, body[i : i + 1]) for i in range(len(body)))
    several = [post(body), chunked + chunks + b"0\r\n\r\n", post(b"{}"), post(body)] * 5
    found = say(double.port, b"".join(several), answers=20)
    assert [status for status, _ in found] == [200, 200, 400, 200] * 5
    head, _, rest = post(body, "expect: 100-continue").partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", double.port), timeout=30) as raw:
        raw.sendall(head + b"\r\n\r\n")
        assert raw.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(rest)
        assert raw.recv(65536).startswith(b"HTTP/1.1 200 OK")


def message(raw: bytes | None = None, **change: Any) -> bytes:
    pb = pytest.importorskip("tritonclient.grpc.service_pb2")
    request = pb.ModelInferRequest(model_name="double")
    one = request.inputs.add()
    one.name, one.datatype = "x", change.get("datatype", "FP32")
    one.shape.extend(change.get("shape", [1, 2]))
    for _ in range(change.get("further", 0)):
        request.inputs.add()
    request.raw_input_contents.append(struct.pack("<2f", 1.5, 2.0) if raw is None else raw)
    encoded: bytes = request.SerializeToString()
    return encoded


# gRPC's own table of codes gives INTERNAL to a request that cannot be parsed.
GRPC_REFUSALS: dict[str, tuple[dict[str, Any] | bytes, str, str]] = {
    "bytes that are no message": (b"\xff" * 40, "INTERNAL", "more than ten bytes"),
    "a message cut short": (b"\x0a\x7fabc", "INTERNAL", "cut short"),
    "a message beyond its bound": (bytes(3_000_000), "RESOURCE_EXHAUSTED", "2097152"),
    "a shape whose product overflows": (
        {"shape": [2**62, 2**62]}, "RESOURCE_EXHAUSTED", "too large",
    ),
    "NaN": ({"raw": NAN * 2}, "INVALID_ARGUMENT", "NaN or infinity"),
    "a flood of tiny tensors": ({"further": 300_000}, "INVALID_ARGUMENT", "more than"),
}  # fmt: skip


@pytest.mark.parametrize("what", GRPC_REFUSALS)
def test_what_cannot_be_served_over_grpc_is_told_why(double: Any, what: str) -> None:
    grpc = pytest.importorskip("grpc")
    sent, code, words = GRPC_REFUSALS[what]
    with grpc.insecure_channel(f"127.0.0.1:{double.grpc_port}") as channel:
        call = channel.unary_unary(GRPC_INFER)
        with pytest.raises(grpc.RpcError) as caught:
            call(sent if isinstance(sent, bytes) else message(**sent), timeout=30)
        assert caught.value.code().name == code, caught.value.details()
        assert words in caught.value.details()
        assert call(message(), timeout=30)
