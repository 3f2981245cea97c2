"""Recording changes: an event enters the audit log in the transaction that makes the change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_ai.audit import record_event
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.event import Event, Kind
from prometheus_ai.ports.state_store import Writing


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Who changed what, why, and how it was before."""

    actor: str
    reason: str
    about: tuple[str | None, str | None] = (None, None)
    """Backend and version, where there are."""
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


def note(plane: Plane, tx: Writing, kind: Kind, change: Change) -> None:
    """Append an event to the audit log, atomically with ``tx``."""
    record_event(
        tx,
        Event(
            kind=kind,
            actor=change.actor,
            reason=change.reason,
            backend=change.about[0],
            version=change.about[1],
            before=change.before,
            after=change.after,
            at=plane.clock.now(),
        ),
    )
