"""Which installation commands speak to."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The home folder and address given before the command; None means the usual ones."""

    home: str | None = None
    url: str | None = None
