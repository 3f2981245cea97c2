"""Errors as exit codes and words: the only place that maps them."""

import sys

from prometheus_ai.cli import output
from prometheus_ai.domain.errors import (
    Conflict,
    Corrupted,
    InvalidInput,
    InvalidSpec,
    NotFound,
    NotReady,
    PlatformError,
    Refused,
    Unavailable,
    Unsupported,
)

EXIT_BY_ERROR: dict[type[PlatformError], int] = {
    PlatformError: 1,
    InvalidInput: 2,
    Unsupported: 2,
    NotFound: 4,
    Conflict: 5,
    Refused: 6,
    NotReady: 7,
    Corrupted: 8,
    Unavailable: 9,
}
INTERRUPTED = 130
BROKEN_PIPE = 141


def exit_code(error: PlatformError) -> int:
    """Return the exit code of an error."""
    return next(EXIT_BY_ERROR[kind] for kind in type(error).__mro__ if kind in EXIT_BY_ERROR)


def show_error(error: PlatformError) -> None:
    """Write an error for people, to standard error."""
    if isinstance(error, InvalidSpec):
        count = len(error.problems)
        title = f"{error.source} has {count} problem{'s' if count != 1 else ''}:"
        lines = [output.paint("error", "red", sys.stderr) + f": {title}"]
        lines += [f"  {line}" for line in error.message.splitlines()]
    else:
        lines = [output.paint("error", "red", sys.stderr) + f": {error.message}"]
    if error.hint:
        lines.append(output.paint("hint", "cyan", sys.stderr) + f": {error.hint}")
    output.say("\n".join(lines))
