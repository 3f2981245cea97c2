"""Asking before something is destroyed."""

import click

from prometheus_ai.cli.progress import is_interactive
from prometheus_ai.domain.errors import InvalidInput


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless ``yes`` was given.

    Raises:
        InvalidInput: nobody is there to answer.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not is_interactive():
        raise InvalidInput(f"{question} Nobody is there to answer.", hint="give --yes")
    click.confirm(question, abort=True, err=True)
