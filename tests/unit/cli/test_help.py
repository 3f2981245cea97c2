"""Help of every command, and the promises of the program as a whole."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from prometheus_ai.cli.exits import EXIT_BY_ERROR
from prometheus_ai.cli.group import LazyGroup
from prometheus_ai.cli.main import main
from prometheus_ai.domain import errors
from tests.unit.api.world import World, wait_for
from tests.unit.cli.conftest import Pai

SNAPSHOT = Path(__file__).with_name("help.txt")
PAI = [sys.executable, "-m", "prometheus_ai.cli"]
READS = {"watch", "plan", "replay", "status", "releases", "logs", "events", "why", "diff", "predict", "verify", "list",
         "doctor", "version", "gc"}  # fmt: skip
WANTED = {
    "up", "down", "init", "schema", "diff", "deploy", "predict", "status", "releases", "route",
    "promote", "rollback", "rollout", "feedback", "scale", "logs", "events", "why", "audit", "delete", "doctor",
    "version", "server", "gateway", "token", "completion", "gc", "gate", "advisories",
    "model", "key", "image", "target", "report", "suggest", "simulate", "bundle", "export",
    "watch", "plan", "decisions",
}  # fmt: skip


def root() -> click.Context:
    return click.Context(main, info_name="pai", terminal_width=100, **main.context_settings)


def commands(context: click.Context) -> Iterator[tuple[click.Context, str]]:
    """Yield the context of every command below, and the line that its group says of it."""
    group = context.command
    assert isinstance(group, LazyGroup)
    for section in group._sections.values():
        for name, (_, line) in section.items():
            command = group.get_command(context, name)
            assert command is not None
            inner = click.Context(command, parent=context, info_name=name)
            yield inner, line
            if isinstance(command, LazyGroup):
                yield from commands(inner)


def test_the_commands_are_those_that_were_promised() -> None:
    assert set(main.list_commands(click.Context(main))) == WANTED


def test_help_is_as_recorded() -> None:
    """Run with PAI_SNAPSHOT=1 to record it anew, and read the difference."""
    contexts = [root(), *(context for context, _ in commands(root()))]
    text = "\n".join(f"=== {one.command_path}\n{one.get_help()}\n" for one in contexts)
    if os.environ.get("PAI_SNAPSHOT"):
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text()


def test_every_command_has_examples_and_read_commands_have_json() -> None:
    for context, line in commands(root()):
        command, path = context.command, context.command_path
        if isinstance(command, LazyGroup):
            continue
        assert "Examples:" in (command.help or ""), path
        assert line.endswith("."), path
        options = {option for parameter in command.params for option in parameter.opts}
        if context.info_name in READS:
            assert "--json" in options, path


def test_every_error_has_an_exit_code() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    for kind in kinds:
        if issubclass(kind, errors.PlatformError):
            assert any(base in EXIT_BY_ERROR for base in kind.__mro__)


def test_help_loads_no_command_and_no_client() -> None:
    script = (
        "import sys; from prometheus_ai.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'pydantic', 'fastapi', 'rich', 'httpx', 'ruamel.yaml', 'sqlalchemy', "
        "'prometheus_ai.client.session', 'prometheus_ai.compose'}\n"
        "sys.stderr.write(','.join(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_status_loads_nothing_heavy(pai: Pai) -> None:
    script = (
        "import sys; from prometheus_ai.cli.main import main\n"
        "try: main(['status'])\nexcept SystemExit: pass\n"
        "heavy = {'pydantic', 'fastapi', 'rich', 'httpx', 'ruamel.yaml', 'sqlalchemy', 'numpy'}\n"
        "print(','.join(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, check=True, env=os.environ | pai.environ,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == ""


def test_a_closed_pipe_is_no_error(pai: Pai) -> None:
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$@" | head -c 10', "-", *PAI, "schema"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert len(done.stdout) == 10


def test_ctrl_c_ends_a_stream_cleanly(pai: Pai, world: World) -> None:
    world.token("viewer", "somebody")
    process = subprocess.Popen(
        [*PAI, "events", "--follow"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | pai.environ,
    )  # fmt: skip
    assert process.stdout is not None
    assert "token:created" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.strip() == "interrupted"
    wait_for(lambda: world.app.state.streams._open == 0)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(pai: Pai, shell: str) -> None:
    result = pai("completion", shell)
    assert result.exit_code == 0
    assert "_PAI_COMPLETE" in result.stdout


def test_colour_is_for_terminals_and_off_with_no_color(pai: Pai) -> None:
    script = 'script -qec "$0 -m prometheus_ai.cli status" /dev/null'
    for no_colour, has_colour in (("", True), ("1", False)):
        environ = os.environ | pai.environ | {"NO_COLOR": no_colour, "TERM": "xterm"}
        done = subprocess.run(
            ["bash", "-c", script, sys.executable],
            capture_output=True, text=True, check=False, env=environ, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert "gateway" in done.stdout
        assert ("\033[" in done.stdout) == has_colour
    assert "\033[" not in pai("status").stdout
