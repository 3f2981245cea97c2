"""Events and the audit log."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from prometheus_ai.api.access import Control, Viewer
from prometheus_ai.api.bodies import VerifyBody
from prometheus_ai.api.follow import Batch, Streams
from prometheus_ai.control.control_plane import ControlPlane
from prometheus_ai.control.show.audit_log import Verified
from prometheus_ai.control.show.views import EventView

EVENTS_FIRST = 20
EVENTS_MAX = 1000

router = APIRouter(tags=["records"])
BackendQuery = Annotated[str | None, Query(max_length=48, description="Events of one backend.")]


@router.get("/events", operation_id="events")
def events(
    control: Control,
    _token: Viewer,
    backend: BackendQuery = None,
    after: Annotated[
        int | None, Query(ge=0, le=2**53, description="From this index on, oldest first.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=EVENTS_MAX)] = EVENTS_FIRST,
) -> tuple[EventView, ...]:
    """Return the newest events, or those from an index on; oldest first."""
    if after is None:
        return control.recent_events(backend, limit)
    return control.events(backend, after=after, limit=limit)


@router.get(
    "/events/stream",
    operation_id="follow_events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
def follow_events(
    request: Request, control: Control, _token: Viewer, backend: BackendQuery = None
) -> StreamingResponse:
    """Stream events as server-sent events until you disconnect, beginning with the newest ones."""
    streams: Streams = request.app.state.streams
    return streams.respond(_NewEvents(control, backend))


@router.post("/audit/verify", operation_id="audit_verify")
def audit_verify(body: VerifyBody, control: Control, _token: Viewer) -> Verified:
    """Check every record of the audit log, and that it contains an earlier checkpoint."""
    return control.audit_verify(body.checkpoint)


@router.get(
    "/audit/records",
    operation_id="audit_export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
def audit_export(control: Control, _token: Viewer) -> StreamingResponse:
    """Stream the audit log, one JSON object a line, for others to verify."""
    return StreamingResponse(_lines(control.audit_export()), media_type="application/x-ndjson")


class _NewEvents:
    def __init__(self, control: ControlPlane, backend: str | None) -> None:
        self._control = control
        self._backend = backend
        self._next: int | None = None

    def __call__(self) -> Batch:
        if self._next is None:
            found = self._control.recent_events(self._backend, EVENTS_FIRST)
        else:
            found = self._control.events(self._backend, after=self._next, limit=EVENTS_MAX)
        if found:
            self._next = found[-1].index + 1
        elif self._next is None:
            self._next = 0
        return [(str(event.index), _as_json(event)) for event in found]


def _as_json(event: EventView) -> dict[str, object]:
    return {
        "index": event.index,
        "at": event.at,
        "kind": event.kind,
        "actor": event.actor,
        "backend": event.backend,
        "version": event.version,
        "reason": event.reason,
        "before": dict(event.before),
        "after": dict(event.after),
    }


def _lines(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith("\n") else line + "\n"
