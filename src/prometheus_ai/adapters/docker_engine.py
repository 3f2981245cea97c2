"""The HTTP API of a Docker Engine: over a Unix socket, TCP, or TCP with TLS. See decision 0009."""

import io
import json
import socket
import ssl
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from prometheus_ai.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    PlatformError,
    Unavailable,
)

DEFAULT_URL = "unix:///var/run/docker.sock"
API = "/v1.41"
"""The API of engine 20.10, which every newer engine speaks too."""
ANSWER_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 3.0
STREAM_QUIET_S_MAX = 3600.0
FRAME_HEAD_BYTES = 8
_STREAMS = {1: "stdout", 2: "stderr"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """Where the client's certificate is, as in Docker's own ``DOCKER_CERT_PATH``."""

    folder: Path

    def context(self) -> ssl.SSLContext:
        """Return a context that trusts that folder's authority alone."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        return context


class DockerEngine:
    """One engine. Safe to use from several threads."""

    def __init__(self, url: str = DEFAULT_URL, *, tls: Tls | None = None) -> None:
        self.url = url
        parts = urlsplit(url)
        timeout = httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        if parts.scheme == "unix":
            transport = httpx.HTTPTransport(uds=parts.path)
            self._http = httpx.Client(
                transport=transport, base_url="http://docker", timeout=timeout, trust_env=False
            )
        elif parts.scheme in ("tcp", "http", "https") and parts.hostname:
            scheme = "https" if tls or parts.scheme == "https" else "http"
            base = f"{scheme}://{parts.hostname}:{parts.port or (2376 if tls else 2375)}"
            self._http = httpx.Client(
                base_url=base,
                timeout=timeout,
                trust_env=False,
                verify=tls.context() if tls else True,
            )
        else:
            raise InvalidInput(
                f"{url!r} is no address of a Docker Engine",
                hint="use unix:///var/run/docker.sock or tcp://HOST:PORT",
            )

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, so that its networks can be reached from here."""
        return self.url.startswith("unix:")

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """Return the answer to a GET."""
        return self._ask("GET", path, query=query)

    def post(
        self, path: str, body: Any = None, *, timeout_s: float | None = None, **query: Any
    ) -> Any:
        """Return the answer to a POST."""
        return self._ask("POST", path, query=query, body=body, timeout_s=timeout_s)

    def delete(self, path: str, **query: Any) -> Any:
        """Return the answer to a DELETE."""
        return self._ask("DELETE", path, query=query)

    def find(self, path: str, **query: Any) -> Any | None:
        """Return the answer to a GET, or None when the thing does not exist."""
        try:
            return self.get(path, **query)
        except NotFound:
            return None

    def put_archive(self, container: str, folder: str, chunks: Iterator[bytes]) -> None:
        """Unpack a tar stream in a container that need not run."""
        with self._said(f"filling {folder}"):
            answer = self._http.put(
                f"{API}/containers/{quote(container, safe='')}/archive",
                params={"path": folder},
                content=chunks,
                headers={"content-type": "application/x-tar"},
                timeout=httpx.Timeout(STREAM_QUIET_S_MAX, connect=CONNECT_TIMEOUT_S),
            )
            _check(answer, answer.content)

    @contextmanager
    def standard_input(self, container: str) -> Iterator[Callable[[bytes], None]]:
        """Give a function that writes to a container's standard input, which ends with the block.

        Attached before the container starts, it misses nothing; the engine keeps none of what is written.
        """
        headers = {"connection": "Upgrade", "upgrade": "tcp"}
        path = f"{API}/containers/{quote(container, safe='')}/attach"
        asked = {"stream": 1, "stdin": 1}
        with (
            self._said("writing to a standard input"),
            self._http.stream("POST", path, params=asked, headers=headers) as answer,
        ):
            if answer.status_code != 101:
                _check(answer, answer.read())
                raise Unavailable("the Docker Engine gives no way to a container's standard input")
            stream = answer.extensions["network_stream"]
            yield lambda data: stream.write(data, timeout=ANSWER_TIMEOUT_S)

    def load_image(self, chunks: Iterator[bytes], *, timeout_s: float) -> None:
        """Give the engine an archive of images."""
        with self._said("loading an image"):
            answer = self._http.post(
                f"{API}/images/load",
                params={"quiet": 1},
                content=chunks,
                headers={"content-type": "application/x-tar"},
                timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            )
            _check(answer, answer.content)
            # The engine answers 200 before it has read everything; a failure is in what it says then.
            if b'"errorDetail"' in answer.content:
                raise InvalidInput(f"the Docker Engine took no image: {answer.text.strip()[:300]}")

    def load(self, path: Path) -> None:
        """Load the images of a saved archive."""
        with self._said(f"loading {path.name}"), path.open("rb") as file:
            answer = self._http.post(
                f"{API}/images/load",
                params={"quiet": 1},
                content=iter(lambda: file.read(1 << 20), b""),
                headers={"content-type": "application/x-tar"},
                timeout=httpx.Timeout(STREAM_QUIET_S_MAX, connect=CONNECT_TIMEOUT_S),
            )
            _check(answer, answer.content)
            for line in answer.content.splitlines():
                if line.strip() and (said := json.loads(line).get("error")):
                    raise InvalidInput(f"the engine cannot load {path.name}: {said}")

    def import_empty(self, reference: str) -> None:
        """Make an image with nothing in it."""
        buffer = io.BytesIO()
        tarfile.open(fileobj=buffer, mode="w").close()
        name, _, tag = reference.rpartition(":")
        with self._said(f"making {reference}"):
            answer = self._http.post(
                f"{API}/images/create",
                params={"fromSrc": "-", "repo": name, "tag": tag},
                content=buffer.getvalue(),
                headers={"content-type": "application/x-tar"},
            )
            _check(answer, answer.content)

    def log_frames(self, container: str, **query: Any) -> Iterator[tuple[str, bytes]]:
        """Yield (stream, bytes) of a container's captured output."""
        buffer = b""
        for chunk in self.stream(f"/containers/{quote(container, safe='')}/logs", **query):
            buffer += chunk
            while len(buffer) >= FRAME_HEAD_BYTES:
                size = int.from_bytes(buffer[4:FRAME_HEAD_BYTES], "big")
                if len(buffer) < FRAME_HEAD_BYTES + size:
                    break
                frame = buffer[FRAME_HEAD_BYTES : FRAME_HEAD_BYTES + size]
                yield _STREAMS.get(buffer[0], "stdout"), frame
                buffer = buffer[FRAME_HEAD_BYTES + size :]

    def stream(self, path: str, /, **query: Any) -> Iterator[bytes]:
        """Yield the bytes of a long answer; a connection of its own is used until the caller stops."""
        timeout = httpx.Timeout(STREAM_QUIET_S_MAX, connect=CONNECT_TIMEOUT_S)
        with (
            self._said(f"GET {path}"),
            self._http.stream("GET", API + path, params=_params(query), timeout=timeout) as answer,
        ):
            if answer.status_code >= 400:
                _check(answer, answer.read())
            yield from answer.iter_bytes()

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any],
        body: Any = None,
        timeout_s: float | None = None,
    ) -> Any:
        request = self._http.build_request(
            method,
            API + path,
            params=_params(query),
            json=body,
            timeout=httpx.Timeout(timeout_s or ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        )
        with self._said(f"{method} {path}"):
            try:
                answer = self._http.send(request)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                # An engine that restarted leaves a dead connection behind; asking twice changes nothing.
                if method != "GET":
                    raise
                answer = self._http.send(request)
            _check(answer, answer.content)
        is_json = answer.content and "json" in answer.headers.get("content-type", "")
        return answer.json() if is_json else None

    @contextmanager
    def _said(self, doing: str) -> Iterator[None]:
        try:
            self._knock()
            yield
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable(
                f"the Docker Engine at {self.url} cannot be reached ({doing}: {_words(error)})",
                hint="is it running, and may this user reach it? try: docker version",
            ) from error

    def _knock(self) -> None:
        """Connect and leave, before every question: httpx leaks a Unix socket that is refused."""
        if self.is_local:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(CONNECT_TIMEOUT_S)
                probe.connect(urlsplit(self.url).path)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _params(query: Mapping[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, value in query.items():
        if isinstance(value, bool):
            params[name] = int(value)
        elif isinstance(value, Mapping):
            params[name] = json.dumps(value)
        elif value is not None:
            params[name] = value
    return params


def _check(answer: httpx.Response, content: bytes) -> None:
    if answer.status_code < 400:
        return
    try:
        said = str(json.loads(content).get("message", ""))
    except (ValueError, AttributeError):
        said = content[:300].decode("utf-8", "replace")
    kinds: dict[int, type[PlatformError]] = {400: InvalidInput, 404: NotFound, 409: Conflict}
    kind = kinds.get(answer.status_code, Unavailable)
    raise kind(f"the Docker Engine answered {answer.status_code}: {said.strip()}")
