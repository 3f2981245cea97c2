"""What is known of the quality of releases: labels, what got worse, and what was lost on the way."""

from prometheus_ai.control.answers.feedback import accuracy
from prometheus_ai.control.answers.remembering import attempt, fault_line
from prometheus_ai.control.past.watch import regressions
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.show.views import Difference


def quality_lines(plane: Plane, name: str) -> tuple[str, ...]:
    """Return one line for each release with labels, and one for answers that were lost."""
    hearing = plane.hearing
    if hearing is None:
        return ()
    known = attempt(hearing, "reading", lambda: accuracy(plane, name), ())
    lines = [
        f"{each.version}: {each.labelled - each.wrong} of {each.labelled} labelled answers are right"
        f" ({100 * each.accuracy:.1f} %)"
        for each in known
        if each.accuracy is not None
    ]
    with hearing.lock:
        lost = dict(hearing.lost.get(name, {}))
    if lost:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(lost.items()))
        lines.append(f"answers not remembered or compared: {reasons}")
    if fault := fault_line(hearing):
        lines.append(fault)
    return tuple(lines)


def quality_differences(plane: Plane, name: str) -> list[Difference]:
    """Return what is worse than usual, and the way back."""
    with plane.store.read() as reading:
        found = regressions(reading, name)
    return [
        Difference(
            what=f"{each.version} {each.what}",
            wanted=each.before,
            actual=each.now,
            why=f"worse than {each.against}, since {each.since}",
            next=f"nothing by itself: `pai rollback {name}` returns to the release before",
        )
        for each in found
    ]
