"""Rollouts and decisions: the schedule, the course so far, and what was decided from what."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from prometheus_ai.api.access import Control, Viewer
from prometheus_ai.api.backends import Name
from prometheus_ai.api.bodies import PlanBody
from prometheus_ai.control.intake.spec_files import check_spec
from prometheus_ai.control.show.course import Course
from prometheus_ai.control.show.decided import (
    SHOWN_MAX,
    DecisionDetail,
    DecisionView,
    ReplayView,
)
from prometheus_ai.control.show.plans import PlanView
from prometheus_ai.control.show.series import POINTS_MAX, SPAN_S_MAX, Series

router = APIRouter(tags=["rollouts"])
Number = Annotated[int, Path(ge=1, le=2**53, description="The decision's id.")]


@router.post("/plans", operation_id="plan")
def plan(body: PlanBody, control: Control, _token: Viewer) -> PlanView:
    """Return the schedule that a deploy of a spec would follow, or why it would be refused."""
    return control.plan(check_spec(body.spec))


@router.get("/backends/{name}/plan", operation_id="plan_of")
def plan_of(name: Name, control: Control, _token: Viewer) -> PlanView:
    """Return the schedule of the rollout under way, or of deploying the newest spec once more."""
    return control.plan_of(name)


@router.get("/backends/{name}/rollout", operation_id="course")
def course(name: Name, control: Control, _token: Viewer) -> Course:
    """Return the newest rollout, ended or not, with its evidence, events and traffic over time."""
    return control.course(name)


@router.get("/backends/{name}/series", operation_id="series")
def series(
    name: Name,
    control: Control,
    _token: Viewer,
    span_s: Annotated[float, Query(ge=1, le=SPAN_S_MAX, description="Seconds to look back.")] = 600,
    points: Annotated[int, Query(ge=1, le=POINTS_MAX, description="Points for each release.")] = 60,
) -> tuple[Series, ...]:
    """Return what each release did lately: requests, errors and latency, point by point."""
    return control.series(name, span_s, points)


@router.get("/backends/{name}/decisions", operation_id="decisions")
def decisions(
    name: Name,
    control: Control,
    _token: Viewer,
    limit: Annotated[int, Query(ge=1, le=SHOWN_MAX)] = 100,
) -> tuple[DecisionView, ...]:
    """Return the newest decisions about a backend, oldest of them first."""
    return control.decisions(name, limit)


@router.get("/backends/{name}/decisions/{number}", operation_id="decision")
def decision(name: Name, number: Number, control: Control, _token: Viewer) -> DecisionDetail:
    """Return one decision with everything that it saw and answered."""
    return control.decision(name, number)


@router.get("/backends/{name}/replays", operation_id="replay_decisions")
def replays(
    name: Name,
    control: Control,
    _token: Viewer,
    number: Annotated[int | None, Query(ge=1, le=2**53, description="One decision.")] = None,
) -> tuple[ReplayView, ...]:
    """Make decisions again from what they saw, and say where an answer differs."""
    return control.replay_decisions(name, number)
