"""HTTP/2 frames (RFC 9113): numbers, limits and the few frames that a server sends."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITISED = 0x20

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = range(4)
SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM = range(4, 8)
CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(8, 12)

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6

WINDOW_DEFAULT = 65_535
WINDOW_MAX = (1 << 31) - 1
FRAME_BYTES_DEFAULT = 16_384
FRAME_BYTES_MAX = 16_777_215
HEAD_BYTES = 9
STREAM_ID_MAX = (1 << 31) - 1

read_head = struct.Struct(">BHBBI").unpack_from
_write_head = struct.Struct(">BHBBI").pack
_setting = struct.Struct(">HI")


class ConnectionFault(Exception):
    """The peer broke the protocol; the connection ends with this code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def head(kind: int, flags: int, stream_id: int, length: int) -> bytes:
    """A frame's first nine bytes."""
    return _write_head(length >> 16, length & 0xFFFF, kind, flags, stream_id)


def frame(kind: int, flags: int, stream_id: int, payload: bytes | memoryview = b"") -> bytes:
    """A whole frame."""
    return head(kind, flags, stream_id, len(payload)) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    payload = b"".join(_setting.pack(key, value) for key, value in values.items())
    return frame(SETTINGS, 0, 0, payload)


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """The values in a SETTINGS frame, in order."""
    if len(payload) % 6:
        raise ConnectionFault(FRAME_SIZE_ERROR, "a SETTINGS frame of odd length")
    return list(_setting.iter_unpack(payload))


def window_update(stream_id: int, size: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream_id, size.to_bytes(4))


def reset(stream_id: int, code: int) -> bytes:
    """A RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream_id, code.to_bytes(4))


def goaway(last_stream_id: int, code: int, message: str = "") -> bytes:
    """A GOAWAY frame."""
    payload = last_stream_id.to_bytes(4) + code.to_bytes(4) + message.encode()[:200]
    return frame(GOAWAY, 0, 0, payload)
