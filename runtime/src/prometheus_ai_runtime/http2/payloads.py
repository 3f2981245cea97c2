"""What is inside frames: padding, and messages that need no putting together."""

from prometheus_ai_runtime.http2 import frames
from prometheus_ai_runtime.http2.call import PREFIX_BYTES
from prometheus_ai_runtime.http2.frames import ConnectionFault
from prometheus_ai_runtime.http2.offer import FRAME_BYTES_MAX


def unpadded(payload: bytes, flags: int) -> bytes:
    """Take padding and priority off a payload."""
    begin, end = 0, len(payload)
    if flags & frames.PADDED:
        if not payload:
            raise ConnectionFault(frames.FRAME_SIZE_ERROR, "a padded frame without its length")
        begin, end = 1, end - payload[0]
    if flags & frames.PRIORITISED:
        begin += 5
    if begin > end:
        raise ConnectionFault(frames.PROTOCOL_ERROR, "padding longer than its frame")
    return payload[begin:end]


def whole_message(data: bytes, position: int, stream_id: int, bytes_max: int) -> int:
    """Give the end of the DATA frame at ``position`` if it is a call's only message, else 0."""
    begin = position + frames.HEAD_BYTES + PREFIX_BYTES
    if len(data) < begin:
        return 0
    high, low, kind, flags, data_id = frames.read_head(data, position)
    size: int = high << 16 | low
    end = position + frames.HEAD_BYTES + size
    is_last = kind == frames.DATA and flags == frames.END_STREAM and data_id == stream_id
    if not is_last or len(data) < end or size > FRAME_BYTES_MAX:
        return 0
    is_plain = data[begin - PREFIX_BYTES] == 0
    is_whole = int.from_bytes(data[begin - 4 : begin]) == end - begin <= bytes_max
    return end if is_plain and is_whole else 0
