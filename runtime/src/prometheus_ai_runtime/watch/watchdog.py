"""Truth when the event loop itself is stuck: a thread that answers health on the same listener.

A tiny model runs on the event loop.
Should it hang there, nothing on the loop can say so; this thread then takes new connections
and answers that the server is not live, until the loop moves again.
"""

import contextlib
import socket
import sys
import threading
import traceback
from http import HTTPStatus
from typing import Any

import orjson

from prometheus_ai_runtime.log import log

_STEP_S = 0.1
_CLIENT_S = 1.0
_REQUEST_BYTES_MAX = 16 * 1024
_NOT_LIVE: dict[str, Any] = {"live": False, "ready": False}


class Watchdog:
    """Watches the loop's heartbeat from a thread of its own."""

    def __init__(self, listener: socket.socket, progress_s: float) -> None:
        self._listener = socket.socket(fileno=socket.dup(listener.fileno()))
        self._progress_s = progress_s
        self._beats = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def beat(self) -> None:
        """The loop is alive; called a few times a second."""
        self._beats += 1

    def stop(self) -> None:
        """End the thread and give the listener back."""
        self._stop.set()
        self._thread.join(_CLIENT_S + _STEP_S)
        self._listener.close()

    def _watch(self) -> None:
        seen, stuck_s = -1, 0.0
        # The thread adds up its own steps: time in which the whole process was frozen is nobody's
        # hang, and a clock would count it.
        while not self._stop.wait(_STEP_S):
            if self._beats != seen:
                if stuck_s > self._progress_s:
                    log("loop_moves_again", "warning", stuck_s=round(stuck_s, 1))
                seen, stuck_s = self._beats, 0.0
                continue
            before, stuck_s = stuck_s, stuck_s + _STEP_S
            if stuck_s > self._progress_s:
                if before <= self._progress_s:
                    log("loop_stuck", "error", progress_s=self._progress_s, stacks=_stacks())
                self._answer_one(stuck_s)

    def _answer_one(self, stuck_s: float) -> None:
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, OSError):
            return
        with client, contextlib.suppress(OSError):
            client.settimeout(_CLIENT_S)
            request = b""
            while b"\r\n\r\n" not in request and len(request) < _REQUEST_BYTES_MAX:
                data = client.recv(4096)
                if not data:
                    return
                request += data
            client.sendall(_answer(request.split(b" ", 2)[1:2], stuck_s))
            client.shutdown(socket.SHUT_WR)


def _answer(path: list[bytes], stuck_s: float) -> bytes:
    status, document = HTTPStatus.SERVICE_UNAVAILABLE, _NOT_LIVE.copy()
    if path == [b"/v2/health/state"]:
        status = HTTPStatus.OK
        document |= {"phase": "failed", "progress_age_s": round(stuck_s, 1)}
        document |= {"error": "the event loop is stuck in a model"}
    body = orjson.dumps(document)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _stacks() -> list[str]:
    """The last line of every thread, to say where it is stuck."""
    return [
        "".join(traceback.format_stack(frame, limit=None)[-1:]).strip()
        for frame in sys._current_frames().values()  # noqa: SLF001 - the only way there is
    ]
