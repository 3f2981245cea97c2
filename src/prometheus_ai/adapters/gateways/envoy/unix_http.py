"""HTTP over a unix socket: one short exchange at a time, for loopback administration."""

import contextlib
import http.client
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

SOCKET_PATH_MAX = 107
"""The kernel's limit on a socket's path, less the closing zero."""


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """Yield a spelling of a socket's path that the kernel takes, however long the path is."""
    if len(os.fsencode(path)) <= SOCKET_PATH_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def connect(path: Path, timeout_s: float) -> socket.socket:
    """Return a connection to a unix socket.

    Raises:
        OSError: nobody listens there.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        with reachable(path) as spelling:
            connection.connect(spelling)
    except OSError:
        connection.close()
        raise
    return connection


def listening_pid(path: Path, timeout_s: float) -> int | None:
    """Return the id of the process that listens on a unix socket, or None when nobody does.

    The kernel's own answer: it cannot be stale, and no file has to be trusted.
    """
    try:
        with connect(path, timeout_s) as connection:
            size = struct.calcsize("3i")
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    except OSError:
        return None
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        """Open the connection."""
        self.sock = connect(self._path, self._timeout_s)


def exchange(
    path: Path, method: str, target: str, body: bytes | None = None, *, timeout_s: float
) -> tuple[int, bytes]:
    """Send one request to a unix socket; return status and body.

    Raises:
        OSError: nobody listens there, or no answer came in time.
        http.client.HTTPException: the answer is no HTTP.
    """
    connection = UnixConnection(path, timeout_s)
    try:
        connection.request(method, target, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
