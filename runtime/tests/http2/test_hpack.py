"""Header compression, against the examples of RFC 7541 and its own inverse."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai_runtime.http2 import huffman
from prometheus_ai_runtime.http2.hpack import BadHeaders, Decoder, TooManyHeaders, literal

LIST_BYTES_MAX = 4096


def _codes() -> dict[int, str]:
    codes = {}
    code = previous = 0
    for symbol in sorted(range(257), key=lambda each: (huffman._LENGTHS[each], each)):
        length = huffman._LENGTHS[symbol]
        code <<= length - previous
        codes[symbol] = format(code, f"0{length}b")
        code, previous = code + 1, length
    return codes


CODES = _codes()


def _huffman(data: bytes) -> bytes:
    bits = "".join(CODES[byte] for byte in data)
    bits += "1" * (-len(bits) % 8)
    return int(bits or "0", 2).to_bytes(len(bits) // 8) if bits else b""


@pytest.mark.parametrize(
    ("encoded", "plain"),
    [
        ("f1e3c2e5f23a6ba0ab90f4ff", b"www.example.com"),
        ("a8eb10649cbf", b"no-cache"),
        ("25a849e95ba97d7f", b"custom-key"),
        ("d07abe941054d444a8200595040b8166e082a62d1bff", b"Mon, 21 Oct 2013 20:13:21 GMT"),
    ],
)
def test_the_standards_huffman_examples_decode(encoded: str, plain: bytes) -> None:
    assert huffman.decode(bytes.fromhex(encoded)) == plain


@given(st.binary(max_size=200))
def test_huffman_strings_decode_to_what_was_encoded(data: bytes) -> None:
    assert huffman.decode(_huffman(data)) == data


@given(st.binary(max_size=64))
def test_any_bytes_are_a_huffman_string_or_refused(data: bytes) -> None:
    try:
        plain = huffman.decode(data)
    except huffman.BadHuffman:
        return
    assert _huffman(plain) == data


def test_the_standards_request_examples_share_one_memory() -> None:
    decoder = Decoder(LIST_BYTES_MAX)
    first = decoder.decode(bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff"))
    assert first[-1] == (b":authority", b"www.example.com")
    second = decoder.decode(bytes.fromhex("828684be5886a8eb10649cbf"))
    assert second[-2:] == ((b":authority", b"www.example.com"), (b"cache-control", b"no-cache"))
    third = decoder.decode(bytes.fromhex("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"))
    assert third[-1] == (b"custom-key", b"custom-value")


def test_old_entries_leave_a_full_memory() -> None:
    decoder = Decoder(1 << 20)
    for number in range(100):
        name = b"name-%d" % number
        value = b"v" * 100
        decoder.decode(b"\x40" + bytes((len(name),)) + name + bytes((len(value),)) + value)
    assert decoder.decode(b"\xbe")[0][0] == b"name-99"
    with pytest.raises(BadHeaders, match="no header has index"):
        decoder.decode(b"\xff\x20")


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=200), st.binary(max_size=400)), max_size=5)
)
def test_literals_decode_to_what_was_encoded(pairs: list[tuple[bytes, bytes]]) -> None:
    block = b"".join(literal(name, value) for name, value in pairs)
    assert Decoder(1 << 20).decode(block) == tuple(pairs)


def test_a_list_larger_than_announced_is_refused() -> None:
    block = literal(b"x", b"y" * 100) * 100
    with pytest.raises(TooManyHeaders):
        Decoder(LIST_BYTES_MAX).decode(block)


def test_a_memory_larger_than_offered_is_refused() -> None:
    with pytest.raises(BadHeaders, match="not offered"):
        Decoder(LIST_BYTES_MAX).decode(b"\x3f\xe2\x1f")


@given(st.binary(max_size=300))
def test_any_bytes_are_headers_or_refused(block: bytes) -> None:
    decoder = Decoder(LIST_BYTES_MAX)
    for _ in range(2):
        with contextlib.suppress(BadHeaders):
            decoder.decode(block)
