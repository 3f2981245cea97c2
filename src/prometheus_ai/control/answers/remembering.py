"""Using the log of answers, which everything else goes on without: what it loses is counted and said."""

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
            is_new = doing not in hearing.faults
            hearing.failures[doing] += is_new
            hearing.faults[doing] = error.message
            times = hearing.failures[doing]
        if is_new and _is_said(times):
            log.warning(
                "answers_failed", doing=doing, error=error.message, hint=error.hint, times=times
            )
        return otherwise
    with hearing.lock:
        was_failing = hearing.faults.pop(doing, None) is not None
        times = hearing.failures[doing]
    if was_failing and _is_said(times):
        log.info("answers_work_again", doing=doing, times=times)
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


def _is_said(times: int) -> bool:
    """Whether to say that it fails, or works again: on a full disk small writes succeed between large ones."""
    return times.bit_count() == 1
