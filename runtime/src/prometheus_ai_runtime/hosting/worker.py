"""The process of one isolated model: loads it, answers the server's messages, ends with the server."""

import contextlib
import os
import socket
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

from prometheus_ai_runtime.config import parse_signature
from prometheus_ai_runtime.engines import load
from prometheus_ai_runtime.engines.base import EngineError, LoadRequest
from prometheus_ai_runtime.hosting import huge_pages
from prometheus_ai_runtime.hosting.frames import Gone, receive, send
from prometheus_ai_runtime.hosting.isolation import signature_json

_PARENT_POLL_S = 1.0


def main() -> None:
    """Serve the socket whose number is the only argument, until it closes."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with contextlib.suppress(Gone, BrokenPipeError, ConnectionResetError):
        _serve(channel)
    # A model that is still computing in another thread must not hold the process up.
    os._exit(0)


def _serve(channel: socket.socket) -> None:
    head, _ = receive(channel)
    try:
        model: Any = load(head["engine"], _request(head))
    except EngineError as error:
        send(channel, {"error": str(error), "kind": type(error).__name__}, {})
        return
    described = {
        "signature": signature_json(model.signature),
        "batchable": model.batchable,
        "missing_is_nan": model.missing_is_nan,
        "streams": callable(getattr(model, "stream", None)),
        "predicts": bool(getattr(model, "predicts", True)),
        "warnings": list(model.warnings),
    }
    send(channel, described, {})
    huge_pages.begin()
    while True:
        head, inputs = receive(channel)
        try:
            if head["op"] == "stream":
                for piece in model.stream(inputs):
                    send(channel, {}, piece)
                send(channel, {"end": True}, {})
                continue
            outputs = model.predict(inputs)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            send(channel, {"error": f"{type(error).__name__}: {error}"}, {})
            continue
        send(channel, {}, outputs)


def _request(head: dict[str, Any]) -> LoadRequest:
    signature = head["signature"]
    return LoadRequest(
        path=Path(head["path"]),
        signature=None if signature is None else parse_signature(signature, "signature"),
        threads=head["threads"],
        device=head["device"],
        allow_pickle=head["allow_pickle"],
        options=head["options"],
    )


def _end_with(parent: int) -> None:
    """End when the server is gone, even while the model computes."""
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_S)
    os._exit(0)


if __name__ == "__main__":
    main()
