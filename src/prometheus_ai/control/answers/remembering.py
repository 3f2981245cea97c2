"""Using the log of answers, which everything else goes on without: what it loses is counted, and said once."""

from collections.abc import Callable
from typing import Literal, TypeVar

import structlog

from prometheus_ai.control.answers.told import lose
from prometheus_ai.control.plane import Hearing
from prometheus_ai.domain.errors import Unavailable

Found = TypeVar("Found")
Other = TypeVar("Other")
Doing = Literal["writing", "reading", "forgetting"]
UNWRITTEN = "the log of answers could not be written"

log = structlog.get_logger()


def attempt(
    hearing: Hearing, doing: Doing, step: Callable[[], Found], otherwise: Other
) -> Found | Other:
    """Take a step on the log of answers; where the log fails, go on with what is given instead."""
    try:
        found = step()
    except Unavailable as error:
        with hearing.lock:
            is_known = doing in hearing.faults
            hearing.faults[doing] = error.message
        if not is_known:
            log.warning("answers_failed", doing=doing, error=error.message, hint=error.hint)
        return otherwise
    with hearing.lock:
        was_failing = hearing.faults.pop(doing, None) is not None
    if was_failing:
        log.info("answers_work_again", doing=doing)
    return found


def write(
    hearing: Hearing,
    backend: str,
    items: int,
    step: Callable[[], Found],
    otherwise: Found,
) -> Found:
    """Write so many answers, or so much feedback, to the log; what it does not take is counted as lost."""
    is_lost = True

    def written() -> Found:
        nonlocal is_lost
        found = step()
        is_lost = False
        return found

    found = attempt(hearing, "writing", written, otherwise)
    lose(hearing, backend, UNWRITTEN, items if is_lost else 0)
    return found


def fault_line(hearing: Hearing) -> str:
    """Return what fails at this moment, for people; empty when nothing does."""
    with hearing.lock:
        faults = sorted(set(hearing.faults.values()))
    return f"the log of answers fails: {'; '.join(faults)}" if faults else ""
