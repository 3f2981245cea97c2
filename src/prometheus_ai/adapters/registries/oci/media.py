"""Manifests, by their bytes."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from prometheus_ai.domain.errors import Corrupted

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP_TYPE = f"{LAYER_TYPE}+gzip"
DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFEST_TYPES = (MANIFEST_TYPE, INDEX_TYPE, DOCKER_MANIFEST_TYPE, DOCKER_INDEX_TYPE)
INDEX_TYPES = (INDEX_TYPE, DOCKER_INDEX_TYPE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A manifest or index as it stands in an image registry."""

    content: bytes
    media_type: str
    fields: dict[str, Any] = field(repr=False)

    @property
    def digest(self) -> str:
        """What it is known by."""
        return digest_of(self.content)

    @property
    def blobs(self) -> tuple[tuple[str, int], ...]:
        """Digest and size of the configuration and the layers."""
        named = [self.fields["config"]] if "config" in self.fields else []
        named += self.fields.get("layers") or []
        return tuple((str(one["digest"]), int(one["size"])) for one in named)

    @property
    def children(self) -> tuple[str, ...]:
        """Digests of the manifests that an index lists."""
        return tuple(str(one["digest"]) for one in self.fields.get("manifests") or ())

    def described(self, **annotations: str) -> dict[str, Any]:
        """Return the descriptor by which others name it."""
        described: dict[str, Any] = {
            "mediaType": self.media_type, "digest": self.digest, "size": len(self.content),
        }  # fmt: skip
        if kind := self.fields.get("artifactType"):
            described["artifactType"] = kind
        held = {**(self.fields.get("annotations") or {}), **annotations}
        return {**described, "annotations": held} if held else described


def read_manifest(content: bytes, media_type: str) -> Manifest:
    """Read a manifest.

    Raises:
        Corrupted: it is none.
    """
    try:
        fields = json.loads(content)
        found = Manifest(
            content=content,
            media_type=str(fields.get("mediaType") or media_type.partition(";")[0]),
            fields=fields,
        )
        _ = found.blobs, found.children
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Corrupted(f"not a manifest: {error!r}") from error
    return found


def digest_of(content: bytes) -> str:
    """Return ``sha256:<hex>``."""
    return "sha256:" + hashlib.sha256(content).hexdigest()
