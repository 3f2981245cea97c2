"""Events: the audited facts, newest or oldest first."""

from prometheus_ai.control.plane import Plane
from prometheus_ai.control.show.views import EventView
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.event import AuditRecord

EVENTS_MAX = 1000


def events(plane: Plane, backend: str | None, after: int, limit: int) -> tuple[EventView, ...]:
    """Return events with index ``after`` or more, oldest first.

    Raises:
        InvalidInput: the limit is out of bounds.
    """
    if not 1 <= limit <= EVENTS_MAX:
        raise InvalidInput(f"limit must be between 1 and {EVENTS_MAX}, not {limit}")
    with plane.store.read() as reading:
        return tuple(_view(r) for r in reading.audit_records(max(after, 0), limit, backend))


def recent_events(plane: Plane, backend: str | None, count: int) -> tuple[EventView, ...]:
    """Return the newest events, oldest of them first."""
    with plane.store.read() as reading:
        return tuple(_view(record) for record in reading.latest_audit_records(count, backend))


def _view(record: AuditRecord) -> EventView:
    event = record.event
    return EventView(
        index=record.index,
        at=str(event["at"]),
        kind=str(event["kind"]),
        actor=str(event["actor"]),
        backend=event.get("backend"),
        version=event.get("version"),
        reason=str(event["reason"]),
        before=event.get("before") or {},
        after=event.get("after") or {},
    )
