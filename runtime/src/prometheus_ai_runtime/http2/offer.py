"""What this server offers each client: calls at once, frame sizes, windows."""

from prometheus_ai_runtime.config import Limits
from prometheus_ai_runtime.http2 import frames

CALLS_MAX = 256
FRAME_BYTES_MAX = 131_072
WINDOW_SLACK_BYTES = 1 << 20
"""How much more than one message a call may have on its way."""
CONNECTION_WINDOW_BYTES = 16 << 20


def greeting(limits: Limits) -> bytes:
    """The server's first frames; a unary call's message always fits its window."""
    call_window = min(limits.request_bytes_max + WINDOW_SLACK_BYTES, frames.WINDOW_MAX)
    offered = frames.settings(
        {
            frames.MAX_CONCURRENT_STREAMS: CALLS_MAX,
            frames.INITIAL_WINDOW_SIZE: call_window,
            frames.MAX_FRAME_SIZE: FRAME_BYTES_MAX,
            frames.MAX_HEADER_LIST_SIZE: limits.head_bytes_max,
        }
    )
    return offered + frames.window_update(0, CONNECTION_WINDOW_BYTES)
