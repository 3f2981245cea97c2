"""Recording changes: an event enters the audit log in the transaction that makes the change."""

from collections.abc import Mapping
from typing import Any

from prometheus_ai.audit import record_event
from prometheus_ai.control.plane import Plane
from prometheus_ai.domain.event import Event, Kind
from prometheus_ai.ports.state_store import Writing


def note(
    plane: Plane,
    tx: Writing,
    kind: Kind,
    *,
    actor: str,
    reason: str,
    about: tuple[str | None, str | None] = (None, None),
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Append an event about (backend, version) to the audit log, atomically with ``tx``."""
    record_event(
        tx,
        Event(
            kind=kind,
            actor=actor,
            reason=reason,
            backend=about[0],
            version=about[1],
            before=before or {},
            after=after or {},
            at=plane.clock.now(),
        ),
    )
