"""Specs, deploys and the artefacts that deploys name."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from prometheus_ai.api.access import Control, Deployer, Viewer
from prometheus_ai.api.backends import asker
from prometheus_ai.api.bodies import DIGEST_PATTERN, DeployBody, InspectBody, SpecToCheck, TreeBody
from prometheus_ai.api.uploads import receive
from prometheus_ai.control.deploy import Deployed
from prometheus_ai.control.intake.spec_files import (
    SpecDiff,
    check_spec,
    read_spec,
    spec_lines,
    spec_schema,
)
from prometheus_ai.control.requests import DeployRequest
from prometheus_ai.domain.errors import Corrupted, InvalidInput, NotFound
from prometheus_ai.domain.release import Artefact

router = APIRouter(tags=["deploys"])
DigestPath = Annotated[str, Path(pattern=DIGEST_PATTERN, examples=["sha256:" + "0" * 64])]


@router.get("/schema", operation_id="schema")
def schema(_token: Viewer) -> dict[str, Any]:
    """Return the JSON Schema of specs."""
    return spec_schema()


@router.post("/specs/check", operation_id="check_spec")
def check(body: SpecToCheck, _token: Viewer) -> dict[str, Any]:
    """Check a spec; every problem is reported at once, with its line."""
    if (body.text is None) == (body.values is None):
        raise InvalidInput("send exactly one of text and values")
    if body.text is not None:
        spec, lines = read_spec(body.text, body.source), spec_lines(body.text, body.source)
    else:
        spec, lines = check_spec(body.values or {}, body.source), {}
    return {"spec": spec.model_dump(mode="json"), "lines": lines}


@router.post("/diffs", operation_id="diff")
def diff(body: DeployBody, control: Control, _token: Viewer) -> SpecDiff:
    """Say what a deploy would change, without changing anything."""
    return control.diff(deploy_request(body))


@router.post("/deploys", operation_id="deploy", status_code=202)
def deploy(body: DeployBody, control: Control, token: Deployer) -> Deployed:
    """Make or find the release of a spec, and want traffic on it.

    Answers once everything that the release depends on is pinned; replicas start afterwards.
    """
    return control.deploy(deploy_request(body), asker(token, body.reason))


@router.head("/artefacts/{digest}", operation_id="has_artefact", status_code=204)
def has_artefact(digest: DigestPath, control: Control, _token: Deployer) -> Response:
    """Say whether these bytes are stored (204) or not (404); asking keeps them for a while."""
    if not control.has_artefact(digest):
        raise NotFound(f"artefact {digest} is not stored")
    return Response(status_code=204)


@router.put(
    "/artefacts/{digest}",
    operation_id="put_artefact",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def put_artefact(
    digest: DigestPath, request: Request, control: Control, _token: Deployer
) -> JSONResponse:
    """Store bytes under their digest, streamed; bytes with another digest are refused."""
    try:
        stored = await receive(request, lambda chunks: control.put_artefact(chunks, digest))
    except Corrupted as error:
        # Nothing stored is damaged: what was sent is not what the path says.
        raise InvalidInput(error.message, hint="send the bytes again") from error
    return JSONResponse({"digest": stored}, status_code=201)


@router.post("/artefacts/trees", operation_id="put_tree", status_code=201)
def put_tree(body: TreeBody, control: Control, _token: Deployer) -> dict[str, str]:
    """Store a folder as the list of its files, all stored before."""
    return {"digest": control.put_tree(body.files)}


@router.post("/inspections", operation_id="inspect")
def inspect(body: InspectBody, control: Control, _token: Deployer) -> dict[str, Any]:
    """Say what an uploaded model is: engine, inputs and outputs."""
    model = Artefact(
        digest=body.model.digest, name=body.model.name, size_bytes=0, is_tree=body.model.is_tree
    )
    return dict(control.inspect(model, body.engine, allow_pickle=body.allow_pickle))


def deploy_request(body: DeployBody) -> DeployRequest:
    """Return what a body asks for, with its spec checked."""
    model = body.model
    return DeployRequest(
        spec=check_spec(body.spec),
        model_digest=model.digest if model else None,
        model_name=model.name if model else "",
        model_is_tree=model.is_tree if model else False,
        lock_digest=body.lock_digest,
        weight=body.weight,
        relock=body.relock,
    )
