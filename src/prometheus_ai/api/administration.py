"""Tokens, garbage, and what this server is."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import PlainTextResponse

from prometheus_ai import __version__
from prometheus_ai.api.access import Admin, Control, Viewer
from prometheus_ai.api.backends import asker
from prometheus_ai.api.bodies import CollectBody, TokenBody
from prometheus_ai.control.access import NewToken, TokenView
from prometheus_ai.control.collect import Collected

router = APIRouter(tags=["administration"])
open_router = APIRouter(tags=["administration"])


@open_router.get("/healthz", operation_id="health", response_class=PlainTextResponse)
def health() -> str:
    """Say that the server answers; needs no token and tells nothing else."""
    return "ok\n"


@router.get("/version", operation_id="version")
def version(control: Control, _token: Viewer) -> dict[str, str]:
    """Return the control plane's version and where its gateway answers."""
    return {"version": __version__, "gateway_url": control.plane.gateway_url}


@router.get("/openapi.json", operation_id="openapi")
def openapi(request: Request, _token: Viewer) -> dict[str, Any]:
    """Return this description."""
    description: dict[str, Any] = request.app.openapi()
    return description


@router.get("/tokens", operation_id="tokens")
def tokens(control: Control, _token: Admin) -> tuple[TokenView, ...]:
    """Return all tokens, without their secrets."""
    return control.list_tokens()


@router.post("/tokens", operation_id="create_token", status_code=201)
def create_token(body: TokenBody, control: Control, token: Admin) -> NewToken:
    """Make a token; the answer is the only place that ever shows its secret."""
    return control.create_token(body.name, body.role, asker(token, ""))


@router.delete("/tokens/{token_id}", operation_id="revoke_token")
def revoke_token(
    token_id: Annotated[str, Path(max_length=64)], control: Control, token: Admin
) -> TokenView:
    """Make a token useless at once."""
    return control.revoke_token(token_id, asker(token, ""))


@router.post("/collections", operation_id="collect")
def collect(body: CollectBody, control: Control, token: Admin) -> Collected:
    """Remove artefacts and environments that no release needs."""
    return control.collect(dry_run=body.dry_run, asker=asker(token, ""))
