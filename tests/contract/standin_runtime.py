"""A stand-in for ``pai-runtime`` that follows the wire page and misbehaves as its model file says.

The model file is JSON; all times count from the start of the process::

    {"ready_after_s": 0.1, "stuck_after_s": null, "exit_after_s": null, "exit_code": 1,
     "signal": null, "error": "why", "drain_takes_s": 0, "ignores_term": false,
     "allocate_mib": 0, "print_lines": 0, "print_slowly": 0, "print_environment": false, "leaves_child": false}
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TextIO

STARTED = time.monotonic()


class Server:
    """Answers health as its plan says."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.is_draining = False
        self.http: ThreadingHTTPServer | None = None

    def state(self) -> dict[str, Any]:
        """Return what ``/v2/health/state`` says now."""
        age_s = time.monotonic() - STARTED
        ready_after_s = self.plan.get("ready_after_s", 0.0)
        stuck_after_s = self.plan.get("stuck_after_s")
        is_ready = ready_after_s is not None and age_s >= ready_after_s and not self.is_draining
        is_live = stuck_after_s is None or age_s < stuck_after_s
        phase = "draining" if self.is_draining else "ready" if is_ready else "loading"
        return {
            "phase": phase,
            "live": is_live,
            "ready": is_ready,
            "phases_s": {},
            "progress_age_s": 0.0,
            "requests_active": 0,
            "rows_queued": 0,
            "error": None,
        }

    def serve(self, host: str, port: int, announce: Path | None) -> None:
        """Listen, announce, and answer until told to stop."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = json.dumps(server.state()).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer((host, port), Handler)
        self.http.daemon_threads = True
        if announce is not None:
            port = self.http.server_port
            record = {"pid": os.getpid(), "host": host, "http_port": port, "grpc_port": None}
            aside = announce.with_suffix(".new")
            aside.write_text(json.dumps(record))
            aside.rename(announce)
        self.http.serve_forever(0.02)

    def end_later(self) -> None:
        """End by itself when the plan says so."""
        time.sleep(max(0.0, self.plan["exit_after_s"] - (time.monotonic() - STARTED)))
        if self.plan.get("signal"):
            os.kill(os.getpid(), getattr(signal, self.plan["signal"]))
        code = self.plan.get("exit_code", 1)
        error = self.plan.get("error", "scripted exit")
        if code in (64, 65, 69, 73):
            say("start_failed", level="error", code=code, error=error)
        os._exit(code)

    def on_term(self, *_: object) -> None:
        """Drain."""
        if self.plan.get("ignores_term"):
            return
        self.is_draining = True
        say("draining")
        threading.Timer(self.plan.get("drain_takes_s", 0.0), os._exit, (0,)).start()


def say(event: str, level: str = "info", **fields: Any) -> None:
    """Write one log line."""
    line = {"time": "2026-01-01T00:00:00Z", "level": level, "event": event, **fields}
    write(sys.stderr, json.dumps(line))


def write(stream: TextIO, text: str) -> None:
    """Write a line at once."""
    stream.write(f"{text}\n")
    stream.flush()


def print_slowly(lines: int) -> None:
    """Write so many lines, some at a time."""
    for number in range(lines):
        write(sys.stdout, f"line {number} {'x' * 100}")
        if number % 20 == 0:
            time.sleep(0.01)


def main() -> None:
    """Run as ``standin serve --config … --announce …``."""
    arguments = sys.argv[1:]
    options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    if "--secrets" in options:
        for name, value in json.loads(sys.stdin.readline()).items():
            Path(options["--secrets"], name).write_text(value)
            Path(options["--secrets"], name).chmod(0o400)
    config = json.loads(Path(options["--config"]).read_text())
    server = Server(json.loads(Path(config["path"]).read_text()))
    signal.signal(signal.SIGTERM, server.on_term)
    say("listening")
    if server.plan.get("print_environment"):
        write(sys.stdout, json.dumps({"environment": dict(os.environ), "cwd": str(Path.cwd())}))
    for number in range(server.plan.get("print_lines", 0)):
        write(sys.stdout, f"line {number} {'x' * 100}")
    if server.plan.get("print_slowly"):
        threading.Thread(target=print_slowly, args=(server.plan["print_slowly"],)).start()
    if server.plan.get("leaves_child"):
        subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True)
    if server.plan.get("exit_after_s") is not None:
        threading.Thread(target=server.end_later, daemon=True).start()
    hoard = []
    for _ in range(server.plan.get("allocate_mib", 0)):
        hoard.append(b"\1" * 2**20)  # noqa: PERF401 - one at a time, so that a limit is met on the way
    announce = Path(options["--announce"]) if "--announce" in options else None
    server.serve(options["--host"], int(options["--port"]), announce)


if __name__ == "__main__":
    main()
