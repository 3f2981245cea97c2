"""Heads that differ in values which change nothing are one head; everything else is another."""

import pytest

from prometheus_ai_runtime.http.head import Head, HeadCache, parse_head

FIRST = b"POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\n"
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def head(request_id: bytes, trace: bytes = TRACE, further: bytes = b"") -> bytes:
    lines = b"x-request-id: %b\r\ntraceparent: %b\r\ncontent-length: 2\r\n%b"
    return FIRST + lines % (request_id, trace, further) + b"\r\n"


@pytest.fixture
def cache() -> HeadCache:
    def resolve(found: Head) -> None:
        found.model = "m"

    return HeadCache(resolve)


def test_another_id_and_trace_fit(cache: HeadCache) -> None:
    made = cache.stencil(head(b"abc-1"))
    assert made is not None
    assert (made.head.model, made.head.content_length, made.head.ordinary) == ("m", 2, True)
    assert made.head.request_id == b""
    other = head(b"xyz-2", TRACE.replace(b"4", b"5"))
    assert made.fits(other + b"{}")
    assert made.request_id(other) == b"xyz-2"
    assert made.size == len(other)


def test_heads_that_differ_in_them_alone_are_kept_once(cache: HeadCache) -> None:
    made = [cache.stencil(head(b"i" * size)) for size in range(1, 100)]
    assert len({id(one.head) for one in made if one is not None}) == 1
    assert cache.heads == {}


@pytest.mark.parametrize(
    "other",
    [
        head(b"abc-12"),
        head(b"abc-1", further=b"x: y\r\n"),
        head(b"abc-1").replace(b"length: 2", b"length: 3"),
        head(b"abc-1").replace(b"/m/", b"/n/"),
        head(b"a\r\nb:"),
        head(b"a\0c-1"),
        head(b"a c-1"),
        head(b"\xffbc-1"),
        head(b"abc-1", b"\r\ncontent-length: 5\r\nx:" + TRACE[24:]),
        head(b"abc-1", b"\ncontent-length: 5\r\nxx:" + TRACE[24:]),
        head(b"abc-1")[:-2],
    ],
)
def test_what_differs_in_more_does_not_fit(cache: HeadCache, other: bytes) -> None:
    made = cache.stencil(head(b"abc-1"))
    assert made is not None
    assert not made.fits(other)


@pytest.mark.parametrize(
    "raw",
    [
        FIRST + b"\r\n",
        head(b"i" * 257),
        head(b"a b"),
        head(b"caf\xc3\xa9"),
        head(b"a", further=b"x-request-id: b\r\n"),
        head(b"a", further=b"transfer-encoding: chunked\r\n"),
        head(b"a", further=b"expect: 100-continue\r\n"),
        head(b"a", further=b"connection: close\r\n"),
        head(b"a", further=b"x: %b\r\n" % (b"y" * 1100)),
        head(b"a", further=b"content-length: 3\r\n"),
        head(b"a", further=b" folded\r\n"),
        b"x-request-id: a\r\n\r\n",
    ],
)
def test_what_is_not_plain_is_left_to_the_parser(cache: HeadCache, raw: bytes) -> None:
    assert cache.stencil(raw) is None


def test_a_head_with_an_id_read_by_the_parser_is_not_kept(cache: HeadCache) -> None:
    assert cache.parse(head(b"abc").removesuffix(b"\r\n\r\n")).request_id == b"abc"
    assert cache.heads == {}
    assert cache.parse(FIRST + b"accept: */*").request_id == b""
    assert len(cache.heads) == 1


def test_an_id_that_is_a_zero_is_echoed(cache: HeadCache) -> None:
    made = cache.stencil(head(b"0"))
    assert made is not None
    assert made.request_id(head(b"0")) == b"0"
    assert parse_head(head(b"0").removesuffix(b"\r\n\r\n")).request_id == b"0"


def test_the_number_of_heads_kept_is_bounded(cache: HeadCache) -> None:
    for number in range(2000):
        cache.stencil(head(b"a", further=b"x: %d\r\n" % number))
    assert len(cache._by_pieces) <= 512
