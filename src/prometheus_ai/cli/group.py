"""A group of commands that loads a command when it is named."""

import difflib
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from prometheus_ai.cli import exits, output
from prometheus_ai.domain.errors import PlatformError

Sections = Mapping[str, Mapping[str, tuple[str, str]]]
"""Section title to command name to (module:attribute, one line of help)."""


class LazyGroup(click.Group):
    """Knows its commands by name and one line of help; the rest is loaded on use."""

    def __init__(self, *args: Any, sections: Sections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections = sections
        self._known = {
            name: entry for commands in sections.values() for name, entry in commands.items()
        }

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(self._known)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command, or None when there is none of that name."""
        entry = self._known.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry[0].partition(":")
        command: click.Command = getattr(_load(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was most likely meant."""
        word = args[0] if args else ""
        if (
            word
            and not word.startswith("-")
            and word not in self._known
            and not ctx.resilient_parsing
        ):
            close = difflib.get_close_matches(word, self._known, n=1, cutoff=0.6)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {word!r}.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections without loading a command."""
        for title, commands in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry[1]) for name, entry in commands.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and turn every error into words and an exit code."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
            sys.exit(code if isinstance(code, int) else 0)
        except PlatformError as error:
            exits.show_error(error)
            sys.exit(exits.exit_code(error))
        except click.exceptions.NoArgsIsHelpError as error:
            output.write(error.ctx.get_help() if error.ctx else "")
            sys.exit(0)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            output.say("interrupted")
            sys.exit(exits.INTERRUPTED)
        except BrokenPipeError:
            _leave_quietly()
        except Exception:  # noqa: BLE001 - the last place that can tell a person
            output.say(traceback.format_exc().rstrip())
            output.say("This is a fault of pai itself; the lines above say where.")
            sys.exit(1)


def _load(module: str) -> Any:
    # What an import makes stays; looking for garbage in it again and again takes a fifth of a start.
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        if was_collecting:
            gc.enable()


def _leave_quietly() -> NoReturn:
    # The reader has gone; Python must not complain about it once more while it shuts down.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(exits.BROKEN_PIPE)


class DefaultGroup(LazyGroup):
    """A group whose first command is meant where none is named: ``pai decisions digits`` lists."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a word that names none is the first argument of the default one."""
        if args and args[0] not in self._known:
            args = [next(iter(self._known)), *args]
        return super().resolve_command(ctx, args)
