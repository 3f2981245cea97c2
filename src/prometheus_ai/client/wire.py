"""HTTP with reused connections and a bound on every wait.

The standard library's client is used on purpose: importing a larger one takes longer than a whole `pai status`.
"""

import contextlib
import http.client
import json
import os
import select
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from prometheus_ai.client.faults import fault
from prometheus_ai.domain.errors import Conflict, InvalidInput, Unavailable

_BUSY = (
    "it is there, and busy or stuck: `pai doctor` looks at it, `pai down` and `pai up` restart it"
)
CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 60.0
IDLE_S_MAX = 4.0
"""Servers close idle connections after about 5 s; an older one is not trusted with a request."""
ANSWER_BYTES_MAX = 256 * 2**20
CHUNK_BYTES = 1 << 20
EVENT_BYTES_MAX = 4 * 2**20

OnBytes = Callable[[int], None]


class Body(Protocol):
    """What the standard library can send in pieces."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        """Return the decoded body.

        Raises:
            Unavailable: it is no JSON: something else answers at this address.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Unavailable(
                f"the answer is no JSON: {self.body[:80]!r}", hint="is the address right?"
            ) from error


@dataclass(kw_only=True)
class _Line:
    connection: http.client.HTTPConnection
    used_at: float = 0.0


@dataclass
class Wire:
    """Speaks HTTP to one address; one connection for each thread."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    hint: str = ""
    """What to do when nothing answers there."""
    _local: threading.local = field(default_factory=threading.local, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(f"{self.url!r} is no http(s) address")

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Answer:
        """Send a request with a JSON body, and return the answer.

        Raises:
            PlatformError: the server's own error, or Unavailable when it does not answer in time.
        """
        data = None if body is None else json.dumps(body).encode()
        sent = {**self.headers, **(headers or {})}
        if data is not None:
            sent.setdefault("content-type", "application/json")
        with self._unavailable(timeout_s):
            response = self._send(method, _target(path, query), data, sent, timeout_s)
            answer = Answer(
                status=response.status,
                headers={name.lower(): value for name, value in response.getheaders()},
                body=_whole(response),
            )
        self._local.line.used_at = time.monotonic()
        if answer.status >= 400:
            raise fault(answer.status, answer.body)
        return answer

    def upload(
        self, path: str, file: Path, size_bytes: int, on_bytes: OnBytes, timeout_s: float
    ) -> Answer:
        """Stream a file with PUT; ``on_bytes`` is told of every piece sent."""
        headers = {
            **self.headers,
            "content-type": "application/octet-stream",
            "content-length": str(size_bytes),
        }
        with self._unavailable(timeout_s), file.open("rb") as stream:
            response = self._send("PUT", path, _Counted(stream, on_bytes), headers, timeout_s)
            answer = Answer(status=response.status, headers={}, body=_whole(response))
        self._local.line.used_at = time.monotonic()
        if answer.status >= 400:
            raise fault(answer.status, answer.body)
        return answer

    def download(self, path: str, target: Path, on_bytes: OnBytes, timeout_s: float) -> None:
        """Stream an answer into a file that did not exist; what breaks off leaves none.

        Raises:
            Conflict: the file exists.
        """
        connection = self._connect(timeout_s)
        aside = target.with_name(f".{target.name}.part")
        try:
            with self._unavailable(timeout_s), aside.open("wb") as file:
                connection.request("GET", path, headers=dict(self.headers))
                response = connection.getresponse()
                if response.status >= 400:
                    raise fault(response.status, _whole(response))
                while chunk := response.read(CHUNK_BYTES):
                    file.write(chunk)
                    on_bytes(len(chunk))
                os.fsync(file.fileno())
            os.link(aside, target)
        except FileExistsError as error:
            raise Conflict(f"{target} exists", hint="choose another file") from error
        finally:
            connection.close()
            aside.unlink(missing_ok=True)

    def lines(
        self,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        body: Any = None,
        quiet_s_max: float = 60.0,
    ) -> Iterator[str]:
        """Yield the lines of a streamed answer; the server is silent at most ``quiet_s_max``.

        With a body it is posted. A connection of its own is used, and closed when the caller stops.
        """
        connection = self._connect(quiet_s_max)
        try:
            with self._unavailable(quiet_s_max):
                headers = dict(self.headers)
                if body is None:
                    connection.request("GET", _target(path, query), headers=headers)
                else:
                    headers["content-type"] = "application/json"
                    data = json.dumps(body).encode()
                    connection.request("POST", _target(path, query), data, headers)
                response = connection.getresponse()
                if response.status >= 400:
                    raise fault(response.status, _whole(response))
                while line := response.readline(EVENT_BYTES_MAX):
                    yield line.decode("utf-8", "replace").rstrip("\r\n")
        finally:
            connection.close()

    def close(self) -> None:
        """Close this thread's connection."""
        line: _Line | None = getattr(self._local, "line", None)
        if line is not None:
            line.connection.close()
            self._local.line = None

    def _send(
        self, method: str, target: str, body: Any, headers: Mapping[str, str], timeout_s: float
    ) -> http.client.HTTPResponse:
        connection = self._line().connection
        if connection.sock is None:
            connection.timeout = min(CONNECT_TIMEOUT_S, timeout_s)
            connection.connect()
        connection.sock.settimeout(timeout_s)
        try:
            connection.request(method, target, body=body, headers=dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            # A server may refuse before it has read the whole body; its answer says why.
            return connection.getresponse()
        return connection.getresponse()

    def _line(self) -> _Line:
        line: _Line | None = getattr(self._local, "line", None)
        if line is None:
            line = _Line(connection=self._connect(CONNECT_TIMEOUT_S))
            self._local.line = line
        elif line.connection.sock is not None and _is_stale(line):
            line.connection.close()
        return line

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)
        return http.client.HTTPConnection(host, parts.port, timeout=timeout_s)

    @contextlib.contextmanager
    def _unavailable(self, timeout_s: float) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            self.close()
            raise Unavailable(
                f"{self.url} did not answer within {timeout_s:g} s", hint=_BUSY
            ) from error
        except ConnectionRefusedError as error:
            self.close()
            raise Unavailable(f"nothing answers at {self.url}", hint=self.hint) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            what = str(error) or type(error).__name__
            raise Unavailable(f"{self.url}: {what}", hint=self.hint) from error


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, stream: Body, on_bytes: OnBytes) -> None:
        self._stream = stream
        self._on_bytes = on_bytes

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        """Return the next piece."""
        data = self._stream.read(max(size, CHUNK_BYTES))
        self._on_bytes(len(data))
        return data


def _target(path: str, query: Mapping[str, Any] | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _whole(response: http.client.HTTPResponse) -> bytes:
    body = response.read(ANSWER_BYTES_MAX + 1)
    if len(body) > ANSWER_BYTES_MAX:
        raise OSError(f"the answer is larger than {ANSWER_BYTES_MAX >> 20} MiB")
    # Reading to the end lets the connection be used again.
    response.read()
    return body


def _is_stale(line: _Line) -> bool:
    if line.used_at == 0.0 or time.monotonic() - line.used_at > IDLE_S_MAX:
        return True
    poll = select.poll()
    poll.register(line.connection.sock, select.POLLIN)
    # Between requests only a closing server makes the socket readable.
    return bool(poll.poll(0))
