"""The least that a megabyte request can cost: one copy of it, and the model.

    PYTHON wide_loop.py copy SECONDS
    PYTHON wide_loop.py socket PORT_FILE

``copy`` copies the bytes and runs the model, in a loop; prints requests a second.
``socket`` is a server of nothing but that: it receives into one buffer, runs, and sends fixed headers.
"""

import contextlib
import socket
import sys
import time
from pathlib import Path

import numpy as np
from workload import session

ROWS, WIDTH = 256, 1024
SIZE = ROWS * WIDTH * 4


def copy(seconds: float) -> None:
    """Copy and run."""
    model, source = session("wide", threads=2), np.random.default_rng(7).random(SIZE // 4, "f4")
    target = np.empty_like(source)
    feed = {"input": target.reshape(ROWS, WIDTH)}
    for counted_s in (0.5, seconds):
        done, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < counted_s:
            target[:] = source
            model.run(None, feed)
            done += 1
    print(done / spent)


def serve(port_file: Path) -> None:
    """Answer one connection after the other."""
    model, target = session("wide", threads=2), np.empty((ROWS, WIDTH), "f4")
    view = memoryview(target.reshape(-1).view("u1"))
    listener = socket.create_server(("127.0.0.1", 0))
    port_file.write_text(str(listener.getsockname()[1]))
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, contextlib.suppress(ConnectionError):
            while answer(connection, model, target, view):
                pass


def answer(connection: socket.socket, model, target, view: memoryview) -> bool:
    """Answer one request; false when the client is gone."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(512)
        if not part:
            return False
        received += part
    head, _, rest = received.partition(b"\r\n\r\n")
    json_bytes = int(head.lower().split(b"inference-header-content-length:")[1].split()[0])
    while len(rest) < json_bytes:
        rest += connection.recv(json_bytes - len(rest))
    first = rest[json_bytes:]
    view[: len(first)] = first
    filled = len(first)
    while filled < SIZE:
        filled += connection.recv_into(view[filled:])
    body = model.run(None, {"input": target})[0].tobytes()
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    return True


if __name__ == "__main__":
    copy(float(sys.argv[2])) if sys.argv[1] == "copy" else serve(Path(sys.argv[2]))
