"""Lists of packages as CycloneDX 1.6 JSON."""

import json
import uuid
from typing import Any

from prometheus_ai.domain.gate import Component, Sbom

_NAMESPACE = uuid.UUID("5a0d0ba5-7d2b-4a0e-9a73-1d9d5d9e6f10")
_TYPES = {"model": "machine-learning-model"}


def write_cyclonedx(sbom: Sbom, name: str, made_at: str) -> bytes:
    """Return a document; the same list gives the same bytes."""
    components = sorted(sbom.components, key=lambda one: (one.purl, one.location))
    serial = uuid.uuid5(_NAMESPACE, sbom.subject + "".join(one.purl for one in components))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": made_at,
            "tools": {"components": [{"type": "application", "name": "prometheus-ai"}]},
            "component": {
                "type": "container", "bom-ref": "subject", "name": name, "version": sbom.subject,
            },
        },
        "components": [_component(one, number) for number, one in enumerate(components)],
    }  # fmt: skip
    return json.dumps(document, indent=1).encode() + b"\n"


def _component(one: Component, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": _TYPES.get(one.ecosystem, "library"),
        "bom-ref": f"{number}:{one.purl}",
        "name": one.name,
        "version": one.version,
    }
    if one.ecosystem != "model":
        found["purl"] = one.purl
    if one.licences:
        found["licenses"] = [{"license": {"name": text}} for text in one.licences]
    if one.digest:
        found["hashes"] = [{"alg": "SHA-256", "content": one.digest.removeprefix("sha256:")}]
    told = {"location": one.location, "layer": one.layer, "owner": one.owner, "source": one.source}
    found["properties"] = [
        {"name": f"prometheus-ai:{name}", "value": value} for name, value in told.items() if value
    ]
    return found
