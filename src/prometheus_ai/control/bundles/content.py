"""What a bundle says of its release."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from prometheus_ai.control.deploy import release_digest
from prometheus_ai.domain.errors import Corrupted, InvalidInput
from prometheus_ai.domain.release import Inputs, Release
from prometheus_ai.domain.spec import Spec

FORMAT = "pai-bundle-1"
RELEASE_PART = "release.json"
SIGNATURES_PART = "signatures.json"
DECISION_PART = "decision.json"
SBOM_PART = "sbom.cdx.json"
POLICY_PART = "policy.yaml"
ARTEFACTS = "artefacts/"
STATEMENTS = "statements/"
ADVISORIES = "advisories/"
_INPUTS = TypeAdapter(Inputs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """The release that a bundle carries."""

    spec: Spec
    version: str
    inputs: Inputs
    digest: str
    image: str
    """The image's id as the exporting site knew it; empty where its target ran none."""


def write_content(release: Release, image: str, home: str) -> bytes:
    """Return the part that describes a release."""
    return json.dumps(
        {
            "format": FORMAT, "installation": home, "version": release.version,
            "digest": release.digest, "image": image,
            "spec": release.spec.model_dump(mode="json"), "inputs": asdict(release.inputs),
            "created_at": release.created_at.isoformat(), "created_by": release.created_by,
        },
        indent=1,
    ).encode()  # fmt: skip


def read_content(parts: Mapping[str, Path]) -> Content:
    """Read that part; its digest must follow from what it says.

    Raises:
        InvalidInput: it is of another format, or describes no release.
        Corrupted: it is not the release that it says it is.
    """
    try:
        found: dict[str, Any] = json.loads(parts[RELEASE_PART].read_text("utf-8"))
        if found["format"] != FORMAT:
            raise InvalidInput(f"a bundle of format {found['format']!r} cannot be read here")
        content = Content(
            spec=Spec.model_validate(found["spec"]), version=str(found["version"]),
            inputs=_INPUTS.validate_python(found["inputs"]), digest=str(found["digest"]),
            image=str(found["image"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise InvalidInput(f"the bundle describes no release: {error}") from error
    if release_digest(content.spec, content.inputs) != content.digest:
        raise Corrupted("the bundle's release is not what its digest says")
    return content
