"""What commands share: the connection, and options that mean the same everywhere."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import click

from prometheus_ai.cli.connection import Connection
from prometheus_ai.client.session import Client

Command = TypeVar("Command", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
reason = click.option(
    "--reason", default="", metavar="TEXT", help="Why; recorded in the audit log."
)
yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


class Verb(click.Command):
    """A command whose examples keep their lines."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        said = inspect.cleandoc(kwargs.pop("help", None) or "")
        said = said.replace("\nExamples:\n", "\n\b\nExamples:\n")
        kwargs["help"] = said
        super().__init__(*args, **kwargs)


command = functools.partial(click.command, cls=Verb)


def with_client(command: Command) -> Command:
    """Pass a connected client as the command's first argument, and close it afterwards."""

    @functools.wraps(command)
    def connected(*args: Any, **kwargs: Any) -> Any:
        connection = click.get_current_context().find_object(Connection) or Connection()
        with Client(url=connection.url, home=connection.home) as client:
            return command(client, *args, **kwargs)

    return connected  # type: ignore[return-value]
