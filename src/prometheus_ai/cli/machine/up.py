"""``pai up``."""

import http.client
import importlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command
from prometheus_ai.cli.connection import home_of
from prometheus_ai.cli.machine.processes import living, recorded
from prometheus_ai.cli.machine.supervisor import (
    NAME,
    Supervisor,
    children,
    stop_on_signals,
)
from prometheus_ai.compose.gateway import gateway_client
from prometheus_ai.compose.presence import envoys, port_problem
from prometheus_ai.compose.settings import Settings, load_settings
from prometheus_ai.domain.errors import Unavailable

START_TIMEOUT_S = 60.0
STARTS_MAX = 4
"""A process that was started so often and does not serve will not come up by itself."""
ASK_TIMEOUT_S = 2.0
POLL_S = 0.05
LINES_SHOWN = 5


@command()
@click.option("--detach", "-d", is_flag=True, help="Start in the background and return.")
@click.pass_context
def up(ctx: click.Context, detach: bool) -> None:
    """Start the platform on this machine: control plane and gateway, kept running.

    In the foreground Ctrl-C ends everything, replicas too; `pai down` does it for --detach.
    The first start makes the local administrator's token and leaves it in the home folder.

    Examples:
      pai up --detach
      PAI_HOME=./var/pai PAI_API_PORT=7171 pai up
    """
    settings = load_settings(home=home_of(ctx))
    for folder in (settings.home, settings.run, settings.logs):
        _make(folder)
    os.environ["PAI_HOME"] = str(settings.home)
    if living(settings.run, NAME):
        _wait_until_up(settings, lambda: bool(living(settings.run, NAME)))
        output.say("the platform runs already")
        _tell(settings)
        return
    _refuse_taken_ports(settings)
    if detach:
        _start_detached(settings)
        _tell(settings)
    else:
        _run_here(settings)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Unavailable(
            f"{folder} cannot be made: {error.strerror}",
            hint="choose another home folder with PAI_HOME; `pai doctor` checks it",
        ) from error


def _start_detached(settings: Settings) -> None:
    path = settings.logs / "up.log"
    path.touch(mode=0o600)
    with path.open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "prometheus_ai.cli.machine.supervisor",
             str(settings.run), str(settings.logs)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_until_up(settings, lambda: started.poll() is None)
    except BaseException:
        started.terminate()
        started.wait(60)
        raise
    # It goes on without us, so nobody waits for it, and that is no mistake.
    started.returncode = 0


def _run_here(settings: Settings) -> None:
    supervisor = Supervisor(run=settings.run, children=children(None), say=output.say)
    stop_on_signals(supervisor.stopping)

    def tell_when_up() -> None:
        try:
            _wait_until_up(settings, lambda: not supervisor.stopping.is_set())
        except Unavailable as error:
            output.say(f"not up yet: {error.message}")
            return
        _tell(settings)

    threading.Thread(target=tell_when_up, name="tell-when-up", daemon=True).start()
    with recorded(settings.run, NAME):
        supervisor.keep_running()
    output.say("stopping")
    # Loaded here, since the drivers that it brings would double the time to start.
    down = importlib.import_module("prometheus_ai.cli.machine.down")
    down.stop_rest(settings, keep_replicas=False)


def _refuse_taken_ports(settings: Settings) -> None:
    """Say at once what would otherwise fail again and again in the background.

    Raises:
        Unavailable: something else holds a port.
    """
    for name, host, port in (
        ("gateway", settings.gateway_host, settings.gateway_port),
        ("server", settings.api_host, settings.api_port),
    ):
        problem = port_problem(host, port)
        # An Envoy whose gateway process was killed is ours, and will be adopted.
        if problem and not living(settings.run, name) and not _has_own_envoy(settings, name):
            raise Unavailable(
                f"the {name} cannot listen on {host}:{port}: {problem}",
                hint="stop what uses the port, or set "
                f"PAI_{'API' if name == 'server' else 'GATEWAY'}_PORT to another one",
            )


def _has_own_envoy(settings: Settings, name: str) -> bool:
    return name == "gateway" and any(envoys(settings.gateway))


def _wait_until_up(settings: Settings, goes_on: Callable[[], bool]) -> None:
    """Wait until both processes answer.

    Raises:
        Unavailable: they do not, with the last lines that they wrote.
    """
    until = time.monotonic() + START_TIMEOUT_S
    seen: dict[str, set[int]] = {"gateway": set(), "server": set()}
    with output.progress() as shown:
        shown.step("starting")
        while waiting := _waiting(settings):
            for known in living(settings.run):
                seen.setdefault(known.name, set()).add(known.pid)
            is_looping = any(len(seen[name]) >= STARTS_MAX for name in waiting)
            if is_looping or not goes_on() or time.monotonic() >= until:
                break
            time.sleep(POLL_S)
        else:
            return
    lines = [line for name in waiting for line in _last_lines(settings.logs / f"{name}.log")]
    raise Unavailable(
        "\n  ".join([f"{' and '.join(waiting)} did not come up; last lines:", *lines]),
        hint=f"`pai doctor` says what is wrong; logs are in {settings.logs}",
    )


def _waiting(settings: Settings) -> list[str]:
    """Return which of this home's processes do not serve yet; a stranger on their ports does not count."""
    waiting = []
    if not living(settings.run, "gateway") or not gateway_client(settings).status().is_serving:
        waiting.append("gateway")
    is_server_up = living(settings.run, "server") and settings.credentials.exists()
    if not is_server_up or not _answers(settings.api_host, settings.api_port):
        waiting.append("server")
    return waiting


def _answers(host: str, port: int) -> bool:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    connection = http.client.HTTPConnection(reachable, port, timeout=ASK_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz", headers={"host": "localhost"})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _last_lines(log: Path) -> list[str]:
    if not log.exists():
        return []
    return log.read_text(errors="replace").splitlines()[-LINES_SHOWN:]


def _tell(settings: Settings) -> None:
    output.write(f"API      {settings.api_url}")
    output.write(f"gateway  {settings.gateway_url}")
    output.write(f"home     {settings.home}")
    output.say("next: pai init MODEL_FILE, then pai deploy pai.yaml --wait")
