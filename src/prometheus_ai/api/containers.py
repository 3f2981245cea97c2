"""Targets and images."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from prometheus_ai.api.access import Admin, Control, Deployer, Viewer
from prometheus_ai.api.backends import Name, asker
from prometheus_ai.api.bodies import DeployBody, TargetBody
from prometheus_ai.api.deploys import deploy_request
from prometheus_ai.api.follow import live
from prometheus_ai.control.containers.targets import TargetView
from prometheus_ai.control.containers.verification import ImageVerification
from prometheus_ai.domain.image import BaseAdvice, BuildPlan, BuildRecord
from prometheus_ai.domain.target import TargetRecord

router = APIRouter(tags=["targets and images"])
TargetName = Annotated[str, Path(max_length=48, description="The target's name.")]
Version = Annotated[
    str | None, Query(max_length=64, description="A release; the stable one when left out.")
]
OnTarget = Annotated[
    str,
    Query(max_length=48, description="The Docker target whose engine builds.", examples=["docker"]),
]


@router.get("/targets", operation_id="targets")
def targets(control: Control, _token: Viewer) -> tuple[TargetView, ...]:
    """Describe every place to run, and whether it can be used now."""
    return control.list_targets()


@router.post("/targets", operation_id="add_target", status_code=201)
def add_target(body: TargetBody, control: Control, token: Admin) -> TargetView:
    """Add a Docker Engine that can be reached."""
    values = body.model_dump(exclude={"reason"})
    record = TargetRecord(**values, added_at=datetime.now(UTC))
    return control.add_target(record, asker(token, body.reason))


@router.delete("/targets/{name}", operation_id="remove_target", status_code=204)
def remove_target(name: TargetName, control: Control, token: Admin) -> None:
    """Forget a target that nothing runs on."""
    control.remove_target(name, asker(token, ""))


@router.post("/images/plans", operation_id="plan_image")
def plan_image(
    body: DeployBody, control: Control, _token: Deployer, target: OnTarget = "docker"
) -> BuildPlan:
    """Say what would be built for a spec, and why; nothing is built."""
    return control.plan_image(deploy_request(body), target)


@router.post("/images/bases", operation_id="judge_bases")
def judge_bases(
    body: DeployBody, control: Control, _token: Deployer, target: OnTarget = "docker"
) -> BaseAdvice:
    """Compare slim, full and alpine for the packages that a deploy of this spec would install."""
    return control.judge_bases(deploy_request(body), target)


@router.post("/images/ejections", operation_id="eject_image")
def eject_image(
    body: DeployBody, control: Control, _token: Deployer, target: OnTarget = "docker"
) -> Mapping[str, str]:
    """Return the files, by path, from which the same image is built without the platform."""
    return control.eject_image(deploy_request(body), target)


@router.post("/images", operation_id="build_image", status_code=201)
def build_image(
    body: DeployBody, control: Control, token: Deployer, target: OnTarget = "docker"
) -> BuildRecord:
    """Build the image that a deploy of this spec would run; answers once it is built."""
    return control.build_image(deploy_request(body), target, asker(token, body.reason))


@router.post(
    "/images/live",
    operation_id="build_image_live",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/x-ndjson": {}}, "description": "Events, then the build"}
    },
)
def build_image_live(
    body: DeployBody, control: Control, token: Deployer, target: OnTarget = "docker"
) -> StreamingResponse:
    """Build like `POST /images`, with one JSON line for each event: `event`, then `built` or `error`."""
    request, by = deploy_request(body), asker(token, body.reason)
    return live(lambda say: control.build_image(request, target, by, say))


@router.get("/backends/{name}/image-verification", operation_id="verify_image")
def verify_image(
    name: Name, control: Control, _token: Viewer, version: str | None = None
) -> ImageVerification:
    """Compare the image of a release with its record, and verify its signatures by the policy's keys."""
    return control.verify_image(name, version)


@router.get("/backends/{name}/images", operation_id="image_history")
def image_history(name: Name, control: Control, _token: Viewer) -> tuple[BuildRecord, ...]:
    """Return the recorded builds of a backend, oldest first: times by step, sizes by layer."""
    return control.image_history(name)


@router.get("/backends/{name}/exports/compose", operation_id="export_compose")
def export_compose(
    name: Name, control: Control, _token: Deployer, version: Version = None
) -> Mapping[str, str]:
    """Return the files, by name, that run a release under Compose without the platform."""
    return control.export_compose(name, version)
