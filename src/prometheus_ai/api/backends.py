"""Backends: what runs, and how traffic and replicas change."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse

from prometheus_ai.api.access import Control, Deployer, Viewer
from prometheus_ai.api.bodies import (
    FeedbackBody,
    FeedbackItem,
    NoticeBody,
    ReplicasBody,
    RolloutBody,
    RouteBody,
    VersionBody,
)
from prometheus_ai.api.follow import LoggedLine, NewLines, Streams
from prometheus_ai.control.advise.recording import Recording
from prometheus_ai.control.advise.suggest import Suggested, Terms
from prometheus_ai.control.answers.feedback import Taken
from prometheus_ai.control.autoscale.notice import Noticed
from prometheus_ai.control.autoscale.scale import Scaled
from prometheus_ai.control.control_plane import ControlPlane
from prometheus_ai.control.requests import Asker
from prometheus_ai.control.rollouts.command import Commanded
from prometheus_ai.control.shift import Shifted
from prometheus_ai.control.show.views import BackendDetail, PlatformStatus, ReleaseView, Why
from prometheus_ai.domain.answers import Feedback
from prometheus_ai.domain.event import Token

FOLLOW_LINES_MAX = 2000
"""Lines of one replica that a follower may be behind; older ones are left out."""

router = APIRouter(tags=["backends"])
Name = Annotated[str, Path(max_length=48, description="The backend's name.", examples=["digits"])]
Tail = Annotated[int, Query(ge=0, le=10_000, description="Last lines of each replica.")]
Version = Annotated[
    str | None,
    Query(max_length=64, description="A release; the one with most traffic if left out."),
]
Replica = Annotated[str | None, Query(max_length=128, description="One replica instead of all.")]


def asker(token: Token, reason: str) -> Asker:
    """Return who asks: the token's name stands for a person."""
    return Asker(actor=token.name, reason=reason)


@router.get("/status", operation_id="status")
def status(control: Control, _token: Viewer) -> PlatformStatus:
    """Describe the installation and every backend."""
    return control.status()


@router.get("/backends/{name}", operation_id="backend")
def backend(name: Name, control: Control, _token: Viewer) -> BackendDetail:
    """Describe one backend: summary, living releases, replicas and work under way."""
    return control.backend(name)


@router.get("/backends/{name}/releases", operation_id="releases")
def releases(name: Name, control: Control, _token: Viewer) -> tuple[ReleaseView, ...]:
    """Return every release of a backend, oldest first."""
    return control.releases(name)


@router.get("/backends/{name}/why", operation_id="why")
def why(name: Name, control: Control, _token: Viewer) -> Why:
    """Explain what runs, what is wanted, why they differ and what happens next."""
    return control.why(name)


@router.get("/backends/{name}/suggest", operation_id="suggest")
def suggest(
    name: Name,
    control: Control,
    _token: Viewer,
    version: Version = None,
    slo_s: Annotated[float | None, Query(gt=0, description="Latency objective.")] = None,
    replica_hour: Annotated[float, Query(gt=0, description="Price of an always-on replica.")] = 1.0,
    busy_second: Annotated[
        float | None, Query(gt=0, description="Price of a busy second, where one pays by it.")
    ] = None,
) -> Suggested:
    """Suggest replicas, CPU, memory, batching and sleep from what was measured, each with its risk."""
    terms = Terms(slo_s=slo_s, replica_hour=replica_hour, busy_second=busy_second)
    return control.suggest(name, version, terms)


@router.get("/backends/{name}/recording", operation_id="recording")
def recording(name: Name, control: Control, _token: Viewer, version: Version = None) -> Recording:
    """Return a backend's traffic of the last week and its measured replica, for the simulator."""
    return control.recording(name, version)


@router.put("/backends/{name}/route", operation_id="route")
def route(name: Name, body: RouteBody, control: Control, token: Deployer) -> Shifted:
    """Split traffic; answers once the gateway confirmed, or says what it waits for."""
    return control.route(name, body.weights, asker(token, body.reason))


@router.post("/backends/{name}/promote", operation_id="promote")
def promote(name: Name, body: VersionBody, control: Control, token: Deployer) -> Shifted:
    """Give all traffic to the newest release, or a named one."""
    return control.promote(name, body.version, asker(token, body.reason))


@router.post("/backends/{name}/rollback", operation_id="rollback")
def rollback(name: Name, body: VersionBody, control: Control, token: Deployer) -> Shifted:
    """Return all traffic to the release before, or a named one."""
    return control.rollback(name, body.version, asker(token, body.reason))


@router.post("/backends/{name}/rollout", operation_id="rollout")
def rollout(name: Name, body: RolloutBody, control: Control, token: Deployer) -> Commanded:
    """Pause, resume, skip a step of, promote, roll back or abort the rollout under way."""
    return control.rollout_command(name, body.command, asker(token, body.reason))


@router.post("/backends/{name}/feedback", operation_id="feedback")
def feedback(name: Name, body: FeedbackBody, control: Control, _token: Deployer) -> Taken:
    """Say whether answers were right; they are joined by request id with what releases answered."""
    return control.feedback(name, [_said(item) for item in body.items])


def _said(item: FeedbackItem) -> Feedback:
    label = item.label
    if label is not None and not isinstance(label, list):
        label = [label]
    return Feedback(
        request_id=item.request_id,
        label=None if label is None else tuple(label),
        score=item.score,
    )


@router.put("/backends/{name}/replicas", operation_id="scale")
def scale(name: Name, body: ReplicasBody, control: Control, token: Deployer) -> Scaled:
    """Set how many replicas each release with traffic has, or one named release."""
    return control.scale(name, body.replicas, body.version, asker(token, body.reason))


@router.post("/replicas/{replica}/notice", operation_id="give_notice", status_code=202)
def give_notice(
    replica: Annotated[str, Path(max_length=160, description="The replica's id.")],
    body: NoticeBody,
    control: Control,
    token: Deployer,
) -> Noticed:
    """Say that a replica's machine goes away soon: it is replaced, and drained before that."""
    return control.give_notice(replica, body.within_s, asker(token, body.reason))


@router.delete("/backends/{name}", operation_id="delete", status_code=202)
def delete(
    name: Name,
    control: Control,
    token: Deployer,
    reason: Annotated[str, Query(max_length=500, description="Why; recorded.")] = "",
) -> Mapping[str, str]:
    """Begin to delete a backend: traffic ends, replicas drain, events stay."""
    control.delete(name, asker(token, reason))
    return {"backend": name, "state": "deleting"}


@router.get("/backends/{name}/logs", operation_id="logs")
def logs(
    name: Name, control: Control, _token: Viewer, replica: Replica = None, tail: Tail = 100
) -> list[LoggedLine]:
    """Return the last lines that replicas wrote, oldest first."""
    return list(_lines(control, name, replica, tail))


@router.get(
    "/backends/{name}/logs/stream",
    operation_id="follow_logs",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
def follow_logs(
    name: Name,
    request: Request,
    control: Control,
    _token: Viewer,
    replica: Replica = None,
    tail: Tail = 100,
) -> StreamingResponse:
    """Stream lines as server-sent events, new replicas' included, until you disconnect."""
    control.backend(name)
    streams: Streams = request.app.state.streams
    return streams.respond(
        NewLines(
            lambda count: _lines(control, name, replica, count),
            tail=tail,
            tail_max=FOLLOW_LINES_MAX,
        )
    )


def _lines(
    control: ControlPlane, name: str, replica: str | None, tail: int
) -> Iterator[LoggedLine]:
    for line in control.logs(name, replica=replica, tail=tail):
        yield LoggedLine(replica=line.replica, at=line.at, stream=line.stream, text=line.text)
