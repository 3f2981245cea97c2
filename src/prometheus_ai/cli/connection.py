"""Which installation commands speak to."""

from dataclasses import dataclass
from pathlib import Path

import click


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The home folder and address given before the command; None means the usual ones."""

    home: str | None = None
    url: str | None = None


def home_of(ctx: click.Context) -> Path | None:
    """Return the home folder that was asked for, None for the usual one."""
    connection = ctx.find_object(Connection)
    return Path(connection.home).expanduser() if connection and connection.home else None
