"""The supply-chain gate: decisions, advisory data, signatures."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from prometheus_ai.api.access import Admin, Control, Deployer, Viewer
from prometheus_ai.api.backends import asker
from prometheus_ai.control.gates.attest import Unsigned
from prometheus_ai.control.gates.changes import ChangesView
from prometheus_ai.control.gates.explain import GateView
from prometheus_ai.control.show.compliance import Compliance
from prometheus_ai.domain.gate import AdvisoryData, SignatureCheck

DIGEST = r"^sha256:[0-9a-f]{64}$"
router = APIRouter(tags=["gate"])


class ImportBody(BaseModel):
    """An uploaded archive."""

    model_config = ConfigDict(extra="forbid")
    digest: str = Field(pattern=DIGEST, description="Digest under which it was uploaded.")


class UpdateBody(BaseModel):
    """Where an archive lies."""

    model_config = ConfigDict(extra="forbid")
    url: str = Field(min_length=8, max_length=2000, description="An http(s) URL.")


class SignatureBody(BaseModel):
    """A signature over something."""

    model_config = ConfigDict(extra="forbid")
    digest: str = Field(pattern=DIGEST, description="What it is over.")
    bundle: str = Field(max_length=3 * 2**20, description="A Sigstore bundle (v0.3) as JSON text.")


@router.get("/backends/{name}/gate", operation_id="explain_gate")
def explain(
    name: Annotated[str, Path(max_length=48, description="The backend's name.")],
    control: Control,
    _token: Viewer,
    version: Annotated[str | None, Query(max_length=32, description="One version.")] = None,
) -> GateView:
    """Explain the latest decision: each rule, what it saw, what it says."""
    return control.explain_gate(name, version)


@router.get("/backends/{name}/statements", operation_id="statements")
def statements(
    name: Annotated[str, Path(max_length=48, description="The backend's name.")],
    control: Control,
    _token: Viewer,
    version: Annotated[str | None, Query(max_length=32, description="One version.")] = None,
) -> tuple[Unsigned, ...]:
    """Return what can be said about a release, as in-toto predicates that wait for a signature."""
    return control.statements(name, version)


@router.get("/backends/{name}/gate/changes", operation_id="gate_changes")
def gate_changes(
    name: Annotated[str, Path(max_length=48, description="The backend's name.")],
    control: Control,
    _token: Viewer,
    since: Annotated[str | None, Query(max_length=32, description="The earlier version.")] = None,
    version: Annotated[str | None, Query(max_length=32, description="The later version.")] = None,
) -> ChangesView:
    """Say which weaknesses and packages came and went between two releases, by today's data."""
    return control.gate_changes(name, since, version)


@router.get("/backends/{name}/compliance", operation_id="compliance")
def compliance(
    name: Annotated[str, Path(max_length=48, description="The backend's name.")],
    control: Control,
    _token: Viewer,
) -> Compliance:
    """Describe what runs, who approved it and which controls that meets, each with its proof."""
    return control.compliance(name)


@router.get("/advisories", operation_id="advisories")
def advisories(control: Control, _token: Viewer) -> AdvisoryData:
    """Say what advisory data the gate judges by."""
    return control.advisories()


@router.post("/advisories/imports", operation_id="import_advisories")
def import_advisories(body: ImportBody, control: Control, token: Admin) -> AdvisoryData:
    """Take in an uploaded OSV archive or catalogue of exploited weaknesses."""
    return control.import_advisories(body.digest, asker(token, ""))


@router.post("/advisories/updates", operation_id="update_advisories")
def update_advisories(body: UpdateBody, control: Control, token: Admin) -> AdvisoryData:
    """Download an archive and take it in."""
    return control.update_advisories(body.url, asker(token, ""))


@router.post("/signatures", operation_id="add_signature")
def add_signature(body: SignatureBody, control: Control, token: Deployer) -> SignatureCheck:
    """Keep a signed statement about a model, image or release; it counts while a key of the policy verifies it."""
    return control.add_signature(body.digest, body.bundle.encode(), asker(token, ""))
