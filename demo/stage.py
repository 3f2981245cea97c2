"""The stage: a home of its own, free ports, and commands run where everyone can see them."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

COMMAND_TIMEOUT_S = 300
PAI = Path(sys.executable).parent / "pai"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One installation for the demonstration, apart from any other on this machine."""

    home: Path
    folder: Path
    """Where the models and specs lie."""
    console: Console
    environ: dict[str, str]

    def pai(self, *words: str, quiet: bool = False) -> str:
        """Run a command in plain sight; return its standard output.

        Raises:
            RuntimeError: it failed; carries what it said.
        """
        if not quiet:
            self.console.print(f"[bold cyan]$ pai {shlex.join(words)}[/]", highlight=False)
        done = subprocess.run(
            [PAI, *words],
            env=self.environ,
            cwd=self.folder,
            text=True,
            check=False,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
        )
        if done.returncode != 0:
            raise RuntimeError(f"pai {shlex.join(words)} failed:\n{done.stdout}{done.stderr}")
        if not quiet:
            for line in (done.stdout or done.stderr).rstrip().splitlines():
                self.console.print(f"  [dim]{line}[/]", highlight=False, markup=True)
        return done.stdout

    def ask(self, *words: str) -> Any:
        """Run a command quietly with ``--json``; return what it answered."""
        return json.loads(self.pai(*words, "--json", quiet=True))

    def events(self, kind: str, version: str | None = None) -> list[dict[str, Any]]:
        """Return the newest events of a kind, about one release or all; oldest first."""
        found = self.ask("events", "digits", "--limit", "300")
        return [
            event
            for event in found
            if event["kind"] == kind and version in (None, event["version"])
        ]

    def say(self, words: str) -> None:
        """Announce an act."""
        self.console.print(f"\n[bold]{words}[/]", highlight=False)

    def quietly(self, words: str) -> None:
        """Say what came of it."""
        self.console.print(f"  [dim]{words}[/]", highlight=False)

    def process(self, name: str) -> int:
        """Return the process id of one of the platform's processes, from its run folder."""
        (found,) = (self.home / "run" / "processes").glob(f"{name}-*.json")
        return int(json.loads(found.read_text())["pid"])


def open_stage(root: Path, console: Console) -> Stage:
    """Make a home with free ports; nothing outside ``root`` is touched."""
    home = root / "home"
    home.mkdir(parents=True, mode=0o700)
    api, gateway = _free_ports(2)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PAI_")}
    environ |= {
        "PAI_HOME": str(home),
        "PAI_API_PORT": str(api),
        "PAI_GATEWAY_PORT": str(gateway),
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "106",
    }
    return Stage(home=home, folder=root, console=console, environ=environ)


def _free_ports(count: int) -> list[int]:
    """Return ports free now; held together, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


def kill_for(stage: Stage, seconds: float) -> int:
    """Kill the control plane with SIGKILL, and keep it dead that long; return the pid that died."""
    supervisor, server = stage.process("supervisor"), stage.process("server")
    # The supervisor would bring it back at once; it is held still, so that the absence lasts.
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(server, signal.SIGKILL)
        time.sleep(seconds)
    finally:
        os.kill(supervisor, signal.SIGCONT)
    return server


def wait_until_back(stage: Stage, timeout_s: float = 90.0) -> float:
    """Wait until the control plane answers; return how long that took."""
    started = time.monotonic()
    while time.monotonic() - started < timeout_s:
        try:
            stage.ask("status")
        except RuntimeError:
            time.sleep(0.1)
        else:
            return time.monotonic() - started
    raise RuntimeError(f"the control plane did not come back within {timeout_s:g} s")
