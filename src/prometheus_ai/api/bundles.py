"""Sealed bundles: releases that travel as one file."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from prometheus_ai.api.access import Admin, Control, Deployer
from prometheus_ai.api.backends import asker
from prometheus_ai.api.bodies import DIGEST_PATTERN
from prometheus_ai.control.bundles.export import Exported
from prometheus_ai.control.bundles.take_in import Imported
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.release import Artefact

ARCHIVES_MAX = 16
router = APIRouter(tags=["bundles"])


class ArchiveBody(BaseModel):
    """An uploaded archive of advisories."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="Its name in the bundle."
    )
    digest: str = Field(pattern=DIGEST_PATTERN, description="Digest under which it was uploaded.")


class ExportBody(BaseModel):
    """What to export."""

    model_config = ConfigDict(extra="forbid")
    version: str | None = Field(
        default=None, max_length=32, description="One version; the newest one when left out."
    )
    advisories: list[ArchiveBody] = Field(
        default_factory=list, max_length=ARCHIVES_MAX, description="Archives that travel with it."
    )


class BundleBody(BaseModel):
    """An uploaded bundle."""

    model_config = ConfigDict(extra="forbid")
    digest: str = Field(pattern=DIGEST_PATTERN, description="Digest under which it was uploaded.")
    unsealed: bool = Field(
        default=False, description="Take it although no key of the policy sealed it."
    )


@router.post("/backends/{name}/bundles", operation_id="export_bundle", status_code=201)
def export_bundle(
    name: Annotated[str, Path(max_length=48, description="The backend's name.")],
    body: ExportBody,
    control: Control,
    token: Deployer,
) -> Exported:
    """Write a release with everything that it needs to a bundle, kept for an hour under its digest."""
    archives = tuple(
        Artefact(digest=one.digest, name=one.name, size_bytes=0) for one in body.advisories
    )
    return control.export_bundle(name, body.version, archives, asker(token, ""))


@router.get(
    "/artefacts/{digest}",
    operation_id="read_artefact",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}},
)
def read_artefact(
    digest: Annotated[str, Path(pattern=DIGEST_PATTERN, description="Digest of stored bytes.")],
    control: Control,
    _token: Deployer,
) -> StreamingResponse:
    """Return stored bytes."""
    if not control.has_artefact(digest):
        raise NotFound(f"artefact {digest} is not stored")
    return StreamingResponse(control.read_artefact(digest), media_type="application/octet-stream")


@router.post("/bundles/imports", operation_id="import_bundle", status_code=201)
def import_bundle(body: BundleBody, control: Control, token: Admin) -> Imported:
    """Make a release of an uploaded bundle, after every byte of it was checked."""
    bundle = Artefact(digest=body.digest, name="bundle.tar", size_bytes=0)
    return control.import_bundle(bundle, asker(token, ""), unsealed=body.unsealed)
