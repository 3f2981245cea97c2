"""A package index on loopback with packages of a few lines, so that uv works for real and offline."""

import base64
import hashlib
import io
import re
import threading
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

# What the model server asks for; these stand in for them.
RUNTIME_NEEDS = {"httptools": "9.0", "numpy": "9.0", "orjson": "9.0"}


@dataclass
class TinyIndex:
    """Serves wheels made here. ``is_down`` refuses everything, ``swapped`` answers other bytes."""

    is_down: bool = False
    delay_s: float = 0.0
    """How long each file takes to be answered."""
    swapped: dict[str, bytes] = field(default_factory=dict)
    wheels: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.answer(self)

            def do_HEAD(self) -> None:
                index.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        for name, version in RUNTIME_NEEDS.items():
            self.add(name, version)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The index's address."""
        return f"http://127.0.0.1:{self._server.server_port}/simple"

    def add(self, name: str, version: str, needs: tuple[str, ...] = ()) -> str:
        """Publish a package with one module; return the sha256 of its wheel."""
        module = re.sub(r"[-.]+", "_", name)
        info = f"{module}-{version}.dist-info"
        asks = "".join(f"Requires-Dist: {need}\n" for need in needs)
        files = {
            f"{module}.py": f'__version__ = "{version}"\n',
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{asks}",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        content = _zip(files, f"{info}/RECORD")
        self.wheels[f"{module}-{version}-py3-none-any.whl"] = content
        return hashlib.sha256(content).hexdigest()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.requests.append(handler.path)
        parts = handler.path.strip("/").split("/")
        body, status = b"", 404
        if self.is_down:
            status = 503
        elif parts[0] == "simple" and len(parts) == 2:
            body = self._page(parts[1])
            status = 200 if body else 404
        elif parts[0] == "files" and parts[1] in self.wheels:
            time.sleep(self.delay_s)
            body, status = self.swapped.get(parts[1], self.wheels[parts[1]]), 200
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Content-Type", "text/html")
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(body)

    def _page(self, name: str) -> bytes:
        module = re.sub(r"[-.]+", "_", name)
        links = [
            f'<a href="/files/{wheel}#sha256={hashlib.sha256(content).hexdigest()}">{wheel}</a>'
            for wheel, content in self.wheels.items()
            if wheel.split("-")[0] == module
        ]
        return (
            f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode() if links else b""
        )


def _zip(files: dict[str, str], record: str) -> bytes:
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        rows.append(f"{name},sha256={digest.decode()},{len(text.encode())}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in [*files.items(), (record, "\n".join([*rows, f"{record},,"]) + "\n")]:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()
