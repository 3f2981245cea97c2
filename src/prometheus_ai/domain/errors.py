"""The error tree.

::

    PlatformError
    ├── InvalidInput          what the caller sent cannot be accepted          (HTTP 422, exit 2)
    │   └── InvalidSpec       one or more problems in a spec file
    ├── NotFound              the named thing does not exist                   (HTTP 404, exit 4)
    ├── Conflict              the thing changed meanwhile, or already exists   (HTTP 409, exit 5)
    ├── Refused               understood, but a rule forbids it                (HTTP 403, exit 6)
    │   └── Unauthenticated   no valid token was presented                     (HTTP 401, exit 6)
    ├── NotReady              try again later; carries a hint when              (HTTP 503, exit 7)
    ├── Unsupported           this target or machine cannot honour it          (HTTP 422, exit 2)
    ├── Corrupted             stored bytes are not what was stored             (HTTP 500, exit 8)
    └── Unavailable           something we depend on failed                    (HTTP 503, exit 9)

Each error has a stable ``code``, says what happened and why in its message, and what to do in ``hint``.
The mapping to HTTP status lives in ``api/`` and to exit codes in ``cli/``, nowhere else.
"""

from dataclasses import dataclass


class PlatformError(Exception):
    """The root of everything the platform raises on purpose."""

    code = "platform_error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInput(PlatformError):
    """What the caller sent cannot be accepted."""

    code = "invalid_input"


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecProblem:
    """One thing wrong with a spec, placed where the reader can find it."""

    field: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str = ""


class InvalidSpec(InvalidInput):
    """A spec has one or more problems; all of them are reported at once."""

    code = "invalid_spec"

    def __init__(self, problems: tuple[SpecProblem, ...], *, source: str = "spec") -> None:
        self.problems = problems
        self.source = source
        super().__init__("\n".join(_place(source, problem) for problem in problems))


def _place(source: str, problem: SpecProblem) -> str:
    where = source if problem.line is None else f"{source}:{problem.line}"
    name = f"{problem.field}: " if problem.field else ""
    hint = f" ({problem.hint})" if problem.hint else ""
    return f"{where}: {name}{problem.message}{hint}"


class NotFound(PlatformError):
    """The named thing does not exist."""

    code = "not_found"


class Conflict(PlatformError):
    """The thing changed meanwhile, or already exists with other content."""

    code = "conflict"


class Refused(PlatformError):
    """The request was understood, and a rule forbids it."""

    code = "refused"


class Unauthenticated(Refused):
    """No valid token was presented."""

    code = "unauthenticated"


class NotReady(PlatformError):
    """The thing asked for is not ready yet."""

    code = "not_ready"


class Unsupported(PlatformError):
    """This target or machine cannot honour what was asked."""

    code = "unsupported"


class Corrupted(PlatformError):
    """Stored bytes are not the bytes that were stored."""

    code = "corrupted"


class Unavailable(PlatformError):
    """Something the platform depends on failed."""

    code = "unavailable"
