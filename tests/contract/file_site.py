"""A web site on loopback that serves files with ranges, and misbehaves when told to."""

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass
class FileSite:
    """Serves what was published. The knobs apply to every answer."""

    break_after: list[int] = field(default_factory=list)
    """For each of the next answers: close the connection after so many bytes of body."""
    statuses: list[int] = field(default_factory=list)
    """Answer these first, without a body."""
    has_ranges: bool = True
    etag: str | None = None
    """Instead of the content's own."""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)
    """Headers of each request, in lower case."""

    def __enter__(self) -> Self:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def publish(self, content: bytes, name: str = "model.bin") -> str:
        """Put bytes behind a URL."""
        self.files[f"/{name}"] = content
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request as the knobs say."""
        self.requests.append({key.lower(): value for key, value in handler.headers.items()})
        content = self.files.get(handler.path.partition("?")[0])
        status = self.statuses.pop(0) if self.statuses else 200
        if content is None:
            status = 404
        if content is None or status != 200:
            handler.send_response(status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        etag = self.etag or f'"{hashlib.sha256(content).hexdigest()}"'
        asked = handler.headers.get("Range", "")
        start = 0
        if self.has_ranges and asked and handler.headers.get("If-Range") == etag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.send_header("ETag", etag)
        handler.end_headers()
        body = content[start:]
        if self.break_after:
            body = body[: self.break_after.pop(0)]
            handler.close_connection = True
        handler.wfile.write(body)
