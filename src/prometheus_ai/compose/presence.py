"""What is already there: a port in use, an Envoy that goes on. Light, since commands look before they start."""

import socket
from collections.abc import Iterator
from pathlib import Path


def port_problem(host: str, port: int) -> str:
    """Return why a port cannot be listened on; empty when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def envoys(folder: Path) -> Iterator[int]:
    """Yield processes that were started in this folder as its Envoy."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            is_ours = b"bootstrap.json" in command and (entry / "cwd").readlink() == folder
        except OSError:
            continue
        if is_ours:
            yield int(entry.name)
