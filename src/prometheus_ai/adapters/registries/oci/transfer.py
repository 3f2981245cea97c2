"""Whole images between layouts and image registries, with everything that refers to them."""

import io
import json
from collections.abc import Callable
from typing import Any

from prometheus_ai.adapters.registries.oci.client import OciRegistry
from prometheus_ai.adapters.registries.oci.layout import Layout
from prometheus_ai.adapters.registries.oci.media import (
    INDEX_TYPE,
    INDEX_TYPES,
    Manifest,
    digest_of,
    read_manifest,
)
from prometheus_ai.domain.errors import Corrupted, InvalidInput, NotFound, Unavailable
from prometheus_ai.domain.image import Attachment

LIST_TRIES = 5
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
BUNDLE_BYTES_MAX = 32 * 2**20
BUNDLES_MAX = 256

Say = Callable[[str], None]


def push(registry: OciRegistry, layout: Layout, tag: str, say: Say) -> Manifest:
    """Store a layout's image under a tag, then what refers to it; the tag moves last but for those."""
    image = layout.image
    _push_blobs(registry, layout, image, say)
    registry.put_manifest(image.digest, image)
    if tag:
        registry.put_manifest(tag, image)
    for referrer in layout.referrers(image.digest):
        _push_blobs(registry, layout, referrer, say)
        _refer(registry, image.digest, referrer)
    return image


def pull(registry: OciRegistry, pointer: str, layout: Layout, say: Say) -> Manifest:
    """Bring an image and what refers to it into a layout; every byte is checked.

    Raises:
        InvalidInput: the reference names several images, for several kinds of machine.
        Corrupted: bytes are not what their digest says.
    """
    image = registry.manifest(pointer)
    if image.media_type in INDEX_TYPES:
        raise InvalidInput(
            f"{pointer} is a list of {len(image.children)} images",
            hint=f"name one by digest: {', '.join(image.children[:4])}",
        )
    _pull_blobs(registry, layout, image, say)
    layout.add(image, is_image=True)
    for referrer in _referring(registry, image.digest):
        _pull_blobs(registry, layout, referrer, say)
        layout.add(referrer)
    return image


def attach(registry: OciRegistry, digest: str, attachment: Attachment) -> str:
    """Store something about an image: under its tag, or as a referrer; return its digest."""
    manifest = read_manifest(attachment.manifest, "")
    for blob in attachment.blobs:
        registry.put_blob(digest_of(blob), io.BytesIO(blob), len(blob))
    if attachment.tag:
        merged = _merged(registry.find_manifest(attachment.tag), manifest)
        registry.put_manifest(attachment.tag, merged)
        return merged.digest
    _refer(registry, digest, manifest)
    return manifest.digest


def signatures_of(
    registry: OciRegistry, digest: str
) -> tuple[list[bytes], list[tuple[bytes, str]]]:
    """Return every bundle over an image, and every older signature as (payload, base64)."""
    bundles, older = [], []
    for referrer in _referring(registry, digest)[:BUNDLES_MAX]:
        if referrer.fields.get("artifactType") == BUNDLE_TYPE:
            bundles += [_small(registry, one) for one in referrer.fields.get("layers") or ()]
    tagged = registry.find_manifest(signature_tag(digest))
    for layer in (tagged.fields.get("layers") or ()) if tagged else ():
        if layer.get("mediaType") == SIMPLE_SIGNING:
            signature = str((layer.get("annotations") or {}).get(_SIGNATURE, ""))
            older.append((_small(registry, layer), signature))
    return bundles, older


def signature_tag(digest: str) -> str:
    """Return the tag that cosign 2 looks for."""
    return f"{digest.replace(':', '-')}.sig"


def _small(registry: OciRegistry, described: dict[str, Any]) -> bytes:
    size = int(described["size"])
    if size > BUNDLE_BYTES_MAX:
        raise Corrupted(f"a signature of {size} bytes is none")
    with Layout.temporary() as layout:
        path = layout.new_path(str(described["digest"]))
        registry.get_blob(str(described["digest"]), size, path)
        return path.read_bytes()


def _push_blobs(registry: OciRegistry, layout: Layout, manifest: Manifest, say: Say) -> None:
    for digest, size in manifest.blobs:
        if registry.has_blob(digest):
            say(f"{digest[:19]} is there")
            continue
        say(f"sending {digest[:19]}, {size / 1e6:.1f} MB")
        with layout.open(digest) as source:
            registry.put_blob(digest, source, size)


def _pull_blobs(registry: OciRegistry, layout: Layout, manifest: Manifest, say: Say) -> None:
    for digest, size in manifest.blobs:
        path = layout.new_path(digest)
        if path.exists():
            continue
        say(f"fetching {digest[:19]}, {size / 1e6:.1f} MB")
        registry.get_blob(digest, size, path)


def _referring(registry: OciRegistry, digest: str) -> list[Manifest]:
    """Return manifests that refer to an image: by the API, else by the list under the fallback tag."""
    listed = registry.referrers(digest)
    if not listed:
        held = registry.find_manifest(_fallback(digest))
        listed = list(held.fields.get("manifests") or []) if held else []
    found = []
    for one in listed:
        manifest = registry.find_manifest(str(one["digest"]))
        if manifest is None:
            raise NotFound(f"{one['digest']} refers to {digest} and is not there")
        found.append(manifest)
    return found


def _refer(registry: OciRegistry, digest: str, referrer: Manifest) -> None:
    """Store a referrer; where the image registry keeps no list, keep it under the fallback tag."""
    if registry.put_manifest(referrer.digest, referrer):
        return
    tag = _fallback(digest)
    for _ in range(LIST_TRIES):
        held = registry.find_manifest(tag)
        listed = list(held.fields.get("manifests") or []) if held else []
        if any(one["digest"] == referrer.digest for one in listed):
            return
        index = {
            "schemaVersion": 2, "mediaType": INDEX_TYPE,
            "manifests": [*listed, referrer.described()],
        }  # fmt: skip
        # Read, change, write: another writer may have been faster, so it is read again.
        registry.put_manifest(tag, read_manifest(json.dumps(index).encode(), INDEX_TYPE))
    raise Unavailable(
        f"the list of what refers to {digest} was changed by others {LIST_TRIES} times"
    )


def _fallback(digest: str) -> str:
    return digest.replace(":", "-")


def _merged(held: Manifest | None, new: Manifest) -> Manifest:
    """Return a manifest with the layers of both: signatures under one tag are added to, never replaced."""
    if held is None:
        return new
    layers = list(held.fields.get("layers") or [])
    fresh = [one for one in new.fields["layers"] if one not in layers]
    if not fresh:
        return held
    fields = {**held.fields, "layers": [*layers, *fresh]}
    return read_manifest(json.dumps(fields).encode(), held.media_type)
