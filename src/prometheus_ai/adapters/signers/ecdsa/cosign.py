"""How cosign stores signatures beside an image: as a referrer (3) and under a tag (2)."""

import base64
import hashlib
import json

from prometheus_ai.adapters.signers.ecdsa.envelope import BUNDLE_TYPE
from prometheus_ai.domain.image import Attachment

PREDICATE = "https://sigstore.dev/cosign/sign/v1"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_SIMPLE_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
_KIND = "cosign container image signature"
_SIGNATURE = "dev.cosignproject.cosign/signature"


def payload(reference: str, digest: str) -> bytes:
    """Return what cosign's older form signs; the order of keys is part of it."""
    return json.dumps(
        {
            "critical": {
                "identity": {"docker-reference": reference},
                "image": {"docker-manifest-digest": digest},
                "type": _KIND,
            },
            "optional": None,
        },
        separators=(",", ":"),
    ).encode()


def signed_digest(signed: bytes) -> str:
    """Return the image that the older form speaks of; nothing where it is another form."""
    try:
        critical = json.loads(signed)["critical"]
        kind, found = critical["type"], critical["image"]["docker-manifest-digest"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return found if kind == _KIND and isinstance(found, str) else ""


def signature_tag(digest: str, signed: bytes, signature: bytes) -> Attachment:
    """Return the older form: an image under the tag ``sha256-<hex>.sig``."""
    config = json.dumps(
        {
            "architecture": "", "os": "", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [_digest(signed)]},
        }
    ).encode()  # fmt: skip
    layer = _described(_SIMPLE_TYPE, signed) | {
        "annotations": {_SIGNATURE: base64.b64encode(signature).decode()}
    }
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
        "config": _described(_CONFIG_TYPE, config), "layers": [layer],
    }  # fmt: skip
    tag = digest.replace(":", "-") + ".sig"
    return Attachment(tag=tag, manifest=json.dumps(manifest).encode(), blobs=(config, signed))


def referrer(digest: str, bundle: bytes, predicate: str, subject_bytes: int) -> Attachment:
    """Return the newer form: a manifest whose subject is the image, with the bundle as its only layer.

    ``subject_bytes`` is the size of the image's manifest, which image registries check.
    """
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": BUNDLE_TYPE,
        "config": _described(_EMPTY_TYPE, b"{}"),
        "layers": [_described(BUNDLE_TYPE, bundle)],
        "subject": {"mediaType": MANIFEST_TYPE, "digest": digest, "size": subject_bytes},
        "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": predicate,
        },
    }
    return Attachment(tag="", manifest=json.dumps(manifest).encode(), blobs=(b"{}", bundle))


def _described(kind: str, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
