"""One HTTP/2 connection, frame by frame, without a socket."""

import asyncio
import gzip
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai_runtime.config import Limits, Timeouts
from prometheus_ai_runtime.errors import InvalidRequest
from prometheus_ai_runtime.http2 import frames
from prometheus_ai_runtime.http2.call import Call, Method
from prometheus_ai_runtime.http2.connection import Connection
from prometheus_ai_runtime.http2.hpack import Decoder, literal
from prometheus_ai_runtime.http2.lobby import Lobby

LIMITS = Limits(request_bytes_max=1000, head_bytes_max=2000, connections_max=1)
HELLO = frames.PREFACE + frames.settings({})
HEADERS = b"".join(
    literal(name, value)
    for name, value in (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/echo"),
        (b"content-type", b"application/grpc"),
    )
)


@dataclass
class FakeTransport(asyncio.Transport):
    """Keeps what is written."""

    sent: bytearray = field(default_factory=bytearray)
    closed: bool = False
    reading: bool = True

    def write(self, data: Any) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Echo:
    """A streaming method: every message comes back at once."""

    def __init__(self, call: Call) -> None:
        self.call = call

    def take(self, message: bytes) -> None:
        self.call.send(message)

    def end(self) -> None:
        self.call.finish()

    def cancel(self) -> None:
        pass


@dataclass
class Line:
    """A client's end of a connection."""

    connection: Connection
    transport: FakeTransport
    calls: list[Call]
    lobby: Lobby
    read: int = 0

    def send(self, *pieces: bytes) -> list[tuple[int, int, int, bytes]]:
        for piece in pieces:
            self.connection.data_received(piece)
        return self.frames()

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        """The frames since the last look: kind, flags, stream, payload."""
        found = []
        data = bytes(self.transport.sent)
        while self.read < len(data):
            high, low, kind, flags, stream_id = frames.read_head(data, self.read)
            begin = self.read + frames.HEAD_BYTES
            self.read = begin + (high << 16 | low)
            found.append((kind, flags, stream_id, data[begin : self.read]))
        return found


Open = Callable[..., Line]


@pytest.fixture
def line() -> Open:
    return open_line


def open_line(*, greet: bool = True) -> Line:
    calls: list[Call] = []

    def echo(call: Call, message: bytes) -> None:
        if message == b"bad":
            raise InvalidRequest("a bad message")
        if message == b"bug":
            raise RuntimeError("a bug")
        calls.append(call)
        if message != b"hold":
            call.answer(message)

    methods = {b"/echo": Method(unary=echo), b"/stream": Method(stream=Echo)}
    lobby = Lobby(LIMITS, Timeouts(), methods)
    connection = Connection(lobby)
    transport = FakeTransport()
    connection.connection_made(transport)
    made = Line(connection, transport, calls, lobby)
    if greet:
        made.send(HELLO)
    return made


def message(body: bytes) -> bytes:
    return b"\0" + len(body).to_bytes(4) + body


def opening(stream_id: int, headers: bytes = HEADERS, flags: int = frames.END_HEADERS) -> bytes:
    return frames.frame(frames.HEADERS, flags, stream_id, headers)


def data(stream_id: int, body: bytes, flags: int = frames.END_STREAM) -> bytes:
    return frames.frame(frames.DATA, flags, stream_id, body)


def call(stream_id: int, body: bytes = b"hello") -> bytes:
    return opening(stream_id) + data(stream_id, message(body))


def to(path: bytes) -> bytes:
    return HEADERS.replace(literal(b":path", b"/echo"), literal(b":path", path))


def status(found: list[tuple[int, int, int, bytes]]) -> dict[bytes, bytes]:
    """The trailers of the only call in these frames."""
    (block,) = [p for k, f, _, p in found if k == frames.HEADERS and f & frames.END_STREAM]
    return dict(Decoder(10_000).decode(block))


def body_of(found: list[tuple[int, int, int, bytes]]) -> bytes:
    return b"".join(payload for kind, _, _, payload in found if kind == frames.DATA)


def goaway_code(found: list[tuple[int, int, int, bytes]]) -> int | None:
    codes = [int.from_bytes(p[4:8]) for kind, _, _, p in found if kind == frames.GOAWAY]
    return codes[-1] if codes else None


def test_a_unary_call_is_answered(line: Open) -> None:
    found = line().send(call(1))
    assert body_of(found) == message(b"hello")
    assert status(found)[b"grpc-status"] == b"0"


@given(cuts=st.sets(st.integers(1, 200), max_size=8), body=st.binary(max_size=50))
def test_the_answer_does_not_depend_on_how_bytes_arrive(cuts: set[int], body: bytes) -> None:
    stream = HELLO + call(1, body) + call(3, body)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
    one, many = open_line(greet=False), open_line(greet=False)
    one.send(stream)
    many.send(*pieces)
    assert one.transport.sent == many.transport.sent


@given(st.binary(max_size=400))
def test_any_bytes_end_in_an_answer_or_a_goodbye(noise: bytes) -> None:
    made = open_line()
    made.send(noise)
    assert not made.transport.closed or goaway_code(made.frames() or open_frames(made)) is not None


def open_frames(made: Line) -> list[tuple[int, int, int, bytes]]:
    made.read = 0
    return made.frames()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 11),
            st.integers(0, 255),
            st.integers(0, 9),
            st.one_of(st.binary(max_size=60), st.just(HEADERS), st.just(message(b"x"))),
        ),
        max_size=12,
    )
)
def test_any_frames_leave_the_connection_answering_or_closed(
    sequence: list[tuple[int, int, int, bytes]],
) -> None:
    made = open_line()
    for kind, flags, stream_id, payload in sequence:
        made.send(frames.frame(kind, flags, stream_id, payload))
    made.connection.tick(made.connection._since + 1)
    made.connection.connection_lost(None)
    assert not made.connection._calls
    assert made.lobby._bytes_left == LIMITS.body_bytes_total_max


def test_headers_may_come_in_pieces(line: Open) -> None:
    half = len(HEADERS) // 2
    found = line().send(
        opening(1, HEADERS[:half], 0),
        frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, HEADERS[half:]),
        data(1, message(b"x")),
    )
    assert status(found)[b"grpc-status"] == b"0"


def test_nothing_may_interrupt_headers(line: Open) -> None:
    found = line().send(opening(1, HEADERS[:9], 0), frames.frame(frames.PING, 0, 0, bytes(8)))
    assert goaway_code(found) == frames.PROTOCOL_ERROR


def test_a_flood_of_header_pieces_ends_the_connection(line: Open) -> None:
    made = line()
    piece = frames.frame(frames.CONTINUATION, 0, 1, b"x" * 1500)
    assert goaway_code(made.send(opening(1, b"", 0), piece, piece)) == frames.ENHANCE_YOUR_CALM
    assert made.transport.closed


def test_padding_is_taken_off(line: Open) -> None:
    payload = bytes((3,)) + message(b"x") + bytes(3)
    found = line().send(
        opening(1), frames.frame(frames.DATA, frames.END_STREAM | frames.PADDED, 1, payload)
    )
    assert body_of(found) == message(b"x")


def test_calls_are_interleaved(line: Open) -> None:
    made = line()
    found = made.send(
        opening(1), opening(3), data(3, message(b"third")), data(1, message(b"first"))
    )
    assert [payload for kind, _, _, payload in found if kind == frames.DATA] == [
        message(b"third"),
        message(b"first"),
    ]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (to(b"/unknown"), b"12"),
        (HEADERS + literal(b"grpc-timeout", b"1x"), b"3"),
        (HEADERS + literal(b"grpc-encoding", b"snappy"), b"12"),
        (HEADERS + literal(b"x-pai-priority", b"11"), b"3"),
    ],
)
def test_headers_that_cannot_be_served_get_their_status(
    line: Open, headers: bytes, code: bytes
) -> None:
    found = line().send(opening(1, headers) + data(1, message(b"x")))
    assert status(found)[b"grpc-status"] == code


def test_what_is_no_grpc_gets_an_http_status(line: Open) -> None:
    headers = HEADERS.replace(literal(b":method", b"POST"), literal(b":method", b"GET"))
    assert status(line().send(opening(1, headers)))[b":status"] == b"405"
    plain = HEADERS.replace(b"application/grpc", b"application/json")
    assert status(line().send(opening(1, plain)))[b":status"] == b"415"


def test_an_error_of_the_request_is_a_status_and_the_next_call_is_served(line: Open) -> None:
    made = line()
    refused = status(made.send(call(1, b"bad")))
    assert (refused[b"grpc-status"], refused[b"grpc-message"]) == (b"3", b"a bad message")
    assert status(made.send(call(3)))[b"grpc-status"] == b"0"


def test_a_bug_is_an_internal_error_of_one_call(line: Open, capsys: Any) -> None:
    made = line()
    assert status(made.send(call(1, b"bug")))[b"grpc-status"] == b"13"
    assert status(made.send(call(3)))[b"grpc-status"] == b"0"


def test_a_message_over_the_limit_is_refused_from_its_first_bytes(line: Open) -> None:
    made = line()
    found = made.send(opening(1), data(1, b"\0" + (1001).to_bytes(4), 0))
    assert status(found)[b"grpc-status"] == b"8"
    assert (frames.RST_STREAM, 0, 1, bytes(4)) in found


def test_a_compressed_message_is_inflated_but_not_beyond_the_limit(line: Open) -> None:
    headers = HEADERS + literal(b"grpc-encoding", b"gzip")

    def packed(body: bytes) -> bytes:
        small = gzip.compress(body)
        return b"\1" + len(small).to_bytes(4) + small

    made = line()
    assert body_of(made.send(opening(1, headers) + data(1, packed(b"hello")))) == message(b"hello")
    bomb = status(made.send(opening(3, headers) + data(3, packed(bytes(100_000)))))
    assert (bomb[b"grpc-status"], b"more than 1000 bytes" in bomb[b"grpc-message"]) == (b"8", True)


def test_half_a_message_is_no_message(line: Open) -> None:
    found = line().send(opening(1), data(1, message(b"hello")[:7]))
    assert status(found)[b"grpc-status"] == b"13"


def test_a_unary_call_without_or_with_two_messages_is_refused(line: Open) -> None:
    assert status(line().send(opening(1), data(1, b"")))[b"grpc-status"] == b"12"
    two = message(b"a") + message(b"b")
    assert status(line().send(opening(1), data(1, two)))[b"grpc-status"] == b"12"


def test_answers_wait_for_the_clients_window(line: Open) -> None:
    made = line(greet=False)
    hello = frames.PREFACE + frames.settings({frames.INITIAL_WINDOW_SIZE: 10})
    body = bytes(range(100))
    found = made.send(hello, call(1, body))
    assert body_of(found) == message(body)[:10]
    found = made.send(frames.window_update(1, 20))
    assert body_of(found) == message(body)[10:30]
    found = made.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 1000}))
    assert body_of(found) == message(body)[30:]
    assert status(found)[b"grpc-status"] == b"0"


def test_answers_wait_for_the_connections_window(line: Open) -> None:
    made = line()
    made.connection._outbox.window = 3
    assert body_of(made.send(call(1))) == message(b"hello")[:3]
    assert body_of(made.send(frames.window_update(0, 100))) == message(b"hello")[3:]


def test_a_client_that_never_opens_its_window_is_given_up(line: Open) -> None:
    made = line(greet=False)
    made.send(frames.PREFACE + frames.settings({frames.INITIAL_WINDOW_SIZE: 0}), call(1))
    made.connection.tick(made.connection._since + Timeouts().body_s + 1)
    assert (frames.RST_STREAM, 0, 1, b"\0\0\0\3") in made.frames()
    assert not made.connection._calls


def test_a_message_that_never_ends_is_given_up(line: Open) -> None:
    made = line()
    made.send(opening(1), data(1, message(b"hello")[:7], 0))
    made.connection.tick(made.connection._since + Timeouts().body_s + 1)
    assert status(made.frames())[b"grpc-status"] == b"4"


def test_a_client_that_says_nothing_is_given_up(line: Open) -> None:
    made = line(greet=False)
    made.connection.tick(made.connection._since + Timeouts().head_s + 1)
    assert made.transport.closed


def test_http_1_is_told_so_at_once(line: Open) -> None:
    found = line(greet=False).send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert goaway_code(found) == frames.PROTOCOL_ERROR


def test_a_reset_cancels_the_call(line: Open) -> None:
    made = line()
    made.send(call(1, b"hold"))
    cancelled = []
    made.calls[0].on_cancel = lambda: cancelled.append(1)
    made.send(frames.reset(1, frames.CANCEL))
    assert cancelled
    made.calls[0].answer(b"late")
    assert not made.frames()


def test_rapid_resets_end_the_connection(line: Open) -> None:
    made = line()
    for number in range(1, 5000, 2):
        made.send(call(number, b"hold"), frames.reset(number, frames.CANCEL))
        if made.transport.closed:
            break
    assert goaway_code(open_frames(made)) == frames.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "flood",
    [
        frames.frame(frames.PING, 0, 0, bytes(8)),
        frames.settings({}),
        frames.frame(frames.PRIORITY, 0, 1, bytes(5)),
    ],
)
def test_a_flood_of_frames_without_calls_ends_the_connection(line: Open, flood: bytes) -> None:
    made = line()
    made.send(flood * 3000)
    assert goaway_code(open_frames(made)) == frames.ENHANCE_YOUR_CALM


def test_more_calls_at_once_than_announced_are_refused_one_by_one(line: Open) -> None:
    made = line()
    found = made.send(*(call(number, b"hold") for number in range(1, 2 * 257, 2)))
    assert (frames.RST_STREAM, 0, 513, b"\0\0\0\7") in found
    assert len(made.connection._calls) == 256


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (frames.head(frames.DATA, 0, 1, 200_000), frames.FRAME_SIZE_ERROR),
        (data(1, b""), frames.PROTOCOL_ERROR),
        (opening(2), frames.PROTOCOL_ERROR),
        (frames.frame(frames.PUSH_PROMISE, 0, 1, bytes(4)), frames.PROTOCOL_ERROR),
        (frames.window_update(0, 0), frames.PROTOCOL_ERROR),
        (frames.window_update(0, frames.WINDOW_MAX), frames.FLOW_CONTROL_ERROR),
        (frames.frame(frames.SETTINGS, 0, 0, bytes(5)), frames.FRAME_SIZE_ERROR),
        (opening(1, b"\xff\xff\xff\xff\xff\xff"), frames.COMPRESSION_ERROR),
        (opening(1, literal(b"Upper", b"x")), frames.COMPRESSION_ERROR),
        (opening(1, literal(b"connection", b"close")), frames.COMPRESSION_ERROR),
    ],
)
def test_broken_frames_end_the_connection_with_their_code(
    line: Open, broken: bytes, code: int
) -> None:
    made = line()
    assert goaway_code(made.send(broken)) == code
    assert made.transport.closed


def test_pings_are_answered(line: Open) -> None:
    found = line().send(frames.frame(frames.PING, 0, 0, b"12345678"))
    assert (frames.PING, frames.ACK, 0, b"12345678") in found


def test_streams_echo_until_the_client_ends_them(line: Open) -> None:
    made = line()
    found = made.send(opening(1, to(b"/stream")), data(1, message(b"a") + message(b"b"), 0))
    assert body_of(found) == message(b"a") + message(b"b")
    found = made.send(data(1, message(b"c")))
    assert body_of(found) == message(b"c")
    assert status(found)[b"grpc-status"] == b"0"


def test_a_long_stream_gets_its_window_back(line: Open) -> None:
    made = line()
    made.send(frames.window_update(0, 1 << 24), opening(1, to(b"/stream")))
    made.send(frames.window_update(1, 1 << 24))
    widened = []
    for _ in range(1000):
        found = made.send(data(1, message(bytes(900)), 0))
        widened += [p for kind, _, sid, p in found if kind == frames.WINDOW_UPDATE and sid == 1]
    assert widened


def test_leaving_takes_what_is_under_way_and_refuses_what_comes_later(line: Open) -> None:
    made = line()
    made.send(call(1, b"hold"))
    made.connection.go_away(last=False)
    made.send(call(3, b"hold"))
    made.connection.go_away(last=True)
    found = made.send(call(5))
    assert (frames.RST_STREAM, 0, 5, b"\0\0\0\7") in found
    assert not made.connection.close_idle()
    for held in made.calls:
        held.answer(b"done")
    assert made.transport.closed


def test_a_full_server_says_so(line: Open) -> None:
    made = line()
    second = Connection(made.lobby)
    transport = FakeTransport()
    second.connection_made(transport)
    assert transport.closed


def test_a_client_that_does_not_read_is_not_read_from(line: Open) -> None:
    made = line()
    made.connection.pause_writing()
    assert not made.transport.reading
    made.connection.resume_writing()
    assert made.transport.reading
    made.connection.pause_writing()
    made.connection.tick(made.connection._since + Timeouts().body_s + 1)
    assert made.transport.closed
